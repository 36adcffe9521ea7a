//! A room as it should be: a list, and who may see which part of it.

/// What stands in the list. Its place, from 1, is its seq.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Created,
    Joined(usize),
    Left(usize),
    /// Who says it, and what: no text is said twice.
    Message(usize, String),
}

/// A room, its list, and when people were in it.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    /// Whether who joins sees what was before.
    shows_past: bool,
    list: Vec<Entry>,
    /// For each person the stretches from a joining to a leaving; the last one may not have ended.
    stretches: Vec<Vec<(u64, Option<u64>)>>,
}

impl Reference {
    /// A room that the first of `people` has made.
    pub(crate) fn made(people: usize, shows_past: bool) -> Self {
        let mut stretches = vec![Vec::new(); people];
        stretches[0].push((1, None));
        Self { shows_past, list: vec![Entry::Created], stretches }
    }

    pub(crate) fn head(&self) -> u64 {
        self.list.len() as u64
    }

    pub(crate) fn is_member(&self, who: usize) -> bool {
        self.stretches[who].last().is_some_and(|(_, end)| end.is_none())
    }

    /// Adds a message and gives its seq.
    pub(crate) fn say(&mut self, who: usize, text: &str) -> u64 {
        self.list.push(Entry::Message(who, text.to_owned()));
        self.head()
    }

    /// Lets somebody in who is not.
    pub(crate) fn join(&mut self, who: usize) {
        if !self.is_member(who) {
            self.list.push(Entry::Joined(who));
            let seq = self.head();
            self.stretches[who].push((seq, None));
        }
    }

    /// Lets somebody go who is here.
    pub(crate) fn leave(&mut self, who: usize) {
        if self.is_member(who) {
            self.list.push(Entry::Left(who));
            let seq = self.head();
            if let Some((_, end)) = self.stretches[who].last_mut() {
                *end = Some(seq);
            }
        }
    }

    /// What somebody may see after a seq: seqs and entries, in order.
    pub(crate) fn shown(&self, who: usize, after: u64) -> Vec<(u64, Entry)> {
        let numbered = (1..).zip(self.list.iter().cloned());
        numbered.filter(|(seq, _)| *seq > after && self.is_shown(who, *seq)).collect()
    }

    fn is_shown(&self, who: usize, seq: u64) -> bool {
        self.stretches[who].iter().any(|(begin, end)| {
            let begin = if self.shows_past { 0 } else { *begin };
            (begin..=end.unwrap_or(u64::MAX)).contains(&seq)
        })
    }
}

#[test]
fn the_reference_hides_what_it_should() {
    let mut open = Reference::made(2, true);
    let mut closed = Reference::made(2, false);
    for room in [&mut open, &mut closed] {
        room.say(0, "before");
        room.join(1);
        room.leave(1);
        room.say(0, "between");
        room.join(1);
    }
    let seqs = |room: &Reference| room.shown(1, 0).into_iter().map(|(seq, _)| seq).collect::<Vec<_>>();
    assert_eq!((seqs(&open), seqs(&closed)), (vec![1, 2, 3, 4, 5, 6], vec![3, 4, 6]));
    assert_eq!(open.shown(0, 4).len(), 2);
}
