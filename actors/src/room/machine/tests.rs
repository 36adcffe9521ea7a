use super::*;
use crate::ports::projection::{advance, empty_head, place};
use crate::ports::{Head, Span};
use bobchat_proto::ids::{Epoch, Position, RoomId};
use bobchat_proto::wire::RoomSettings;

const OWNER: u64 = 1;
const STRANGER: u64 = 9;

fn acting(user: u64) -> Acting {
    Acting { user: UserId::new(user).unwrap(), device: None, admin: false }
}

/// A log that takes everything, as the machine's other half.
#[derive(Default)]
struct Log {
    head: Head,
}

impl Log {
    fn take(&mut self, append: Append) -> Vec<Outcome> {
        let taken = append.events.into_iter().map(|new| {
            let mut event = new.event;
            place(&self.head, 1, &mut event);
            self.head = advance(self.head, &event);
            Outcome::Appended(event)
        });
        taken.collect()
    }
}

struct Bench {
    machine: Machine<u32>,
    log: Log,
    now: Instant,
    ids: u64,
}

impl Bench {
    /// A public room with its owner.
    fn new() -> Self {
        let head = empty_head();
        let machine = Machine::new(RoomState::empty(RoomId::new(5).unwrap(), head));
        let mut bench = Self { machine, log: Log { head }, now: Instant::now(), ids: 100 };
        let settings = RoomSettings { kind: wire::RoomKind::Public as i32, ..RoomSettings::default() };
        bench.submit(0, OWNER, Command::Create(settings));
        bench.run();
        bench
    }

    fn submit(&mut self, ticket: u32, user: u64, command: Command) {
        self.machine.submit(ticket, acting(user), command, None, self.now).unwrap();
    }

    fn say(&mut self, ticket: u32, user: u64) {
        self.submit(ticket, user, Command::Send(wire::Message { text: ticket.to_string() }));
    }

    fn batch(&mut self) -> (Vec<Effect<u32>>, Option<Append>) {
        let ids = &mut self.ids;
        self.machine.next_batch(|| {
            *ids += 1;
            Ok(*ids)
        })
    }

    fn answer(&mut self, answer: Result<Vec<Outcome>, AppendError>) -> Vec<Effect<u32>> {
        self.machine.appended(answer, self.now)
    }

    /// What another node appended just now.
    fn foreign(&mut self, id: u64) -> wire::Event {
        self.foreign_body(id, Body::Message(wire::Message::default()))
    }

    fn foreign_body(&mut self, id: u64, body: Body) -> wire::Event {
        let mut event = wire::Event { author: OWNER, id, body: Some(body), ..wire::Event::default() };
        place(&self.log.head, 1, &mut event);
        self.log.head = advance(self.log.head, &event);
        event
    }

    /// Runs until nothing waits; returns the effects.
    fn run(&mut self) -> Vec<Effect<u32>> {
        let mut all = Vec::new();
        loop {
            let (effects, batch) = self.batch();
            all.extend(effects);
            let Some(batch) = batch else { return all };
            let outcomes = self.log.take(batch);
            all.extend(self.answer(Ok(outcomes)));
        }
    }
}

fn refused(effects: &[Effect<u32>], ticket: u32) -> Option<&str> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply(found, Err(error)) if *found == ticket => Some(error.code.as_str()),
        _ => None,
    })
}

fn fanned_out(effects: &[Effect<u32>]) -> Vec<Vec<u64>> {
    let batches = effects.iter().filter_map(|effect| match effect {
        Effect::FanOut(events) => Some(events.iter().map(|event| event.seq).collect()),
        _ => None,
    });
    batches.collect()
}

#[test]
fn a_burst_is_one_batch_and_one_fan_out() {
    let mut bench = Bench::new();
    (1..=8).for_each(|ticket| bench.say(ticket, OWNER));
    let effects = bench.run();
    assert_eq!(fanned_out(&effects), [[2, 3, 4, 5, 6, 7, 8, 9]]);
}

#[test]
fn what_comes_while_a_batch_is_on_its_way_is_the_next_one() {
    let mut bench = Bench::new();
    bench.say(1, OWNER);
    let (_, first) = bench.batch();
    (2..=5).for_each(|ticket| bench.say(ticket, OWNER));
    assert_eq!(bench.batch().1, None, "one at a time");
    let outcomes = bench.log.take(first.unwrap());
    bench.answer(Ok(outcomes));
    assert_eq!(bench.batch().1.unwrap().events.len(), 4);
}

/// Rule 5.
#[test]
fn an_event_that_changes_the_state_ends_its_batch() {
    let mut bench = Bench::new();
    bench.submit(1, STRANGER, Command::Join);
    bench.run();
    bench.say(2, STRANGER);
    bench.submit(3, STRANGER, Command::Leave);
    bench.say(4, STRANGER);
    let (_, batch) = bench.batch();
    let batch = batch.unwrap();
    assert_eq!(batch.events.len(), 2, "the message and the leaving");
    let outcomes = bench.log.take(batch);
    let effects = bench.answer(Ok(outcomes));
    assert!(matches!(effects.last(), Some(Effect::Remove(user)) if user.get() == STRANGER), "{effects:?}");
    let effects = bench.run();
    assert_eq!(refused(&effects, 4), Some("not_a_member"), "decided after the leaving");
}

/// Rules 23 and 24.
#[test]
fn a_hole_is_filled_from_the_log_before_anything_after_it_is_shown() {
    let mut bench = Bench::new();
    bench.say(1, OWNER);
    let (_, batch) = bench.batch();
    let foreign = bench.foreign(50);
    let outcomes = bench.log.take(batch.unwrap());
    let Outcome::Appended(own) = outcomes[0].clone() else { panic!("the log takes everything") };
    let effects = bench.answer(Ok(outcomes));
    assert_eq!(effects.last(), Some(&Effect::Fill(Sequence(1))));
    assert!(fanned_out(&effects).is_empty());
    let effects = bench.machine.filled(vec![foreign, own], false);
    assert_eq!(fanned_out(&effects), [[2, 3]]);
}

#[test]
fn an_unknown_outcome_is_tried_again_under_the_same_keys_until_the_deadline() {
    let mut bench = Bench::new();
    bench.say(1, OWNER);
    let (_, batch) = bench.batch();
    let batch = batch.unwrap();
    let unknown = || Err(AppendError::Unknown(Unavailable::new("planted")));
    assert_eq!(bench.answer(unknown()), [Effect::Retry(batch)]);
    bench.now += COMMAND_DEADLINE;
    let effects = bench.answer(unknown());
    assert_eq!(refused(&effects, 1), Some("unknown"), "never busy: it may have been appended");
    assert_eq!(effects.last(), Some(&Effect::Reload));
}

/// The stranger's message 2 is with the log, and another node has removed them before it.
fn a_message_and_a_removal_before_it() -> (Bench, wire::Event) {
    let mut bench = Bench::new();
    bench.submit(1, STRANGER, Command::Join);
    bench.run();
    bench.say(2, STRANGER);
    bench.batch();
    let removed = bench.foreign_body(50, Body::Left(wire::MemberLeft { user: STRANGER }));
    (bench, removed)
}

#[test]
fn a_room_that_is_behind_its_log_catches_up_and_decides_again() {
    let (mut bench, removed) = a_message_and_a_removal_before_it();
    assert_eq!(bench.answer(Err(AppendError::Behind)), [Effect::Fill(Sequence(2))]);
    bench.machine.filled(vec![removed], false);
    let (effects, batch) = bench.batch();
    assert_eq!((refused(&effects, 2), batch), (Some("not_a_member"), None), "decided on the new state");
}

#[test]
fn what_another_node_appended_is_applied_once_and_in_order() {
    let mut bench = Bench::new();
    let events: Vec<_> = (50..54).map(|id| bench.foreign(id)).collect();
    let effects = bench.machine.heard(events[..2].to_vec());
    assert_eq!(fanned_out(&effects), [[2, 3]]);
    assert!(bench.machine.heard(events[..2].to_vec()).is_empty(), "again");
    let effects = bench.machine.heard(events[3..].to_vec());
    assert_eq!(effects, [Effect::Fill(Sequence(3))], "a hole");
    let effects = bench.machine.filled(events[2..].to_vec(), false);
    assert_eq!(fanned_out(&effects), [[4, 5]]);
}

/// Rule 23.
#[test]
fn what_is_told_raises_nothing_by_itself() {
    let mut bench = Bench::new();
    let mut forged = bench.foreign(50);
    forged.seq = 1_000;
    assert_eq!(bench.machine.heard(vec![forged]), [Effect::Fill(Sequence(1))]);
    assert!(bench.machine.filled(Vec::new(), false).is_empty());
    assert_eq!(bench.machine.state().applied(), Sequence(1));
    let head = |epoch, seq| Some(Position { epoch: Epoch(epoch), seq: Sequence(seq) });
    assert!(bench.machine.told_head(head(1, 1)).is_empty(), "known");
    assert_eq!(bench.machine.told_head(head(1, 9)), [Effect::Fill(Sequence(1))]);
    bench.machine.filled(Vec::new(), false);
    assert_eq!(bench.machine.told_head(None), [Effect::Fill(Sequence(1))]);
    bench.machine.filled(Vec::new(), false);
    assert_eq!(bench.machine.told_head(head(2, 1)), [Effect::Reload]);
}

/// Rule 23.
#[test]
fn another_event_at_a_known_position_has_the_room_loaded_again() {
    let mut bench = Bench::new();
    let event = bench.foreign(50);
    bench.machine.heard(vec![event.clone()]);
    let other = wire::Event { id: 51, ..event };
    assert_eq!(bench.machine.heard(vec![other]), [Effect::Reload]);
}

#[test]
fn an_event_of_a_newer_epoch_has_the_room_loaded_again_and_an_older_one_is_nothing() {
    let mut bench = Bench::new();
    let event = bench.foreign(50);
    assert!(bench.machine.heard(vec![wire::Event { epoch: 0, ..event.clone() }]).is_empty());
    assert_eq!(bench.machine.heard(vec![wire::Event { epoch: 2, ..event }]), [Effect::Reload]);
}

#[test]
fn what_is_heard_while_a_batch_is_on_its_way_comes_before_it() {
    let mut bench = Bench::new();
    bench.say(1, OWNER);
    let (_, batch) = bench.batch();
    let first = bench.foreign(50);
    let missing = bench.foreign(51);
    let outcomes = bench.log.take(batch.unwrap());
    assert_eq!(fanned_out(&bench.machine.heard(vec![first])), [[2]]);
    let Outcome::Appended(own) = outcomes[0].clone() else { panic!("the log takes everything") };
    assert!(bench.machine.told_head(Some(own.position())).is_empty(), "the answer comes first");
    let effects = bench.answer(Ok(outcomes));
    assert!(matches!(effects.first(), Some(Effect::Reply(1, Ok(_)))), "{effects:?}");
    assert_eq!(effects.last(), Some(&Effect::Fill(Sequence(2))));
    assert_eq!(fanned_out(&bench.machine.filled(vec![missing, own], false)), [[3, 4]]);
}

#[test]
fn what_may_stand_in_the_log_is_never_said_to_be_refused() {
    let (mut bench, removed) = a_message_and_a_removal_before_it();
    bench.machine.heard(vec![removed]);
    let effects = bench.answer(Err(AppendError::Unknown(Unavailable::new("planted"))));
    assert_eq!(effects, [Effect::Fill(Sequence(3))], "what was decided stands on an older state");
    bench.machine.filled(Vec::new(), false);
    let (effects, _) = bench.batch();
    assert_eq!(refused(&effects, 2), Some("unknown"), "the first attempt may have been in time");
}

#[test]
fn a_long_hole_is_filled_piece_by_piece() {
    let mut bench = Bench::new();
    let events: Vec<_> = (50..54).map(|id| bench.foreign(id)).collect();
    bench.machine.told_head(None);
    let effects = bench.machine.filled(events[..2].to_vec(), true);
    assert_eq!(effects.last(), Some(&Effect::Fill(Sequence(3))));
    let effects = bench.machine.filled(events[2..].to_vec(), true);
    assert_eq!(effects.last(), Some(&Effect::Fill(Sequence(5))));
    assert!(bench.machine.filled(Vec::new(), true).is_empty(), "it was wrong that there is more");
}

#[test]
fn a_full_log_is_said_and_nothing_is_kept() {
    let mut bench = Bench::new();
    bench.say(1, OWNER);
    bench.batch();
    let effects = bench.answer(Err(AppendError::Full { retry_after: Duration::from_secs(5) }));
    let Some(Effect::Reply(1, Err(error))) = effects.first() else { panic!("{effects:?}") };
    assert_eq!((error.code.as_str(), error.retry_after_ms), ("busy", Some(5000)));
    assert!(bench.machine.is_idle());
}

#[test]
fn too_many_commands_are_refused_at_the_door() {
    let mut bench = Bench::new();
    for ticket in 0..u32::try_from(PENDING_MAX).unwrap() {
        bench.say(ticket, OWNER);
    }
    let refused = bench.machine.submit(7, acting(OWNER), Command::Join, None, bench.now);
    assert_eq!(refused.unwrap_err().1.code, "busy");
}

#[test]
fn a_new_epoch_is_loaded_before_anything_is_appended() {
    let mut bench = Bench::new();
    bench.say(1, OWNER);
    bench.batch();
    assert_eq!(bench.answer(Err(AppendError::StaleEpoch)), [Effect::Reload]);
    assert_eq!(bench.batch().1, None, "nothing goes out meanwhile");
}

/// Has the bench's room loaded again under a second epoch that begins at `base`, with a head there.
fn reload(bench: &mut Bench, base: u64, head: u64) -> Vec<Effect<u32>> {
    let position = Position { epoch: Epoch(2), seq: Sequence(head) };
    let mut state = bench.machine.state().clone();
    state.head = Head { position, ..state.head };
    state.spans = vec![Span::FIRST, Span { epoch: Epoch(2), base: Sequence(base) }];
    bench.machine.reloaded(state)
}

fn lost(effects: &[Effect<u32>]) -> Vec<u64> {
    let lost = effects.iter().filter_map(|effect| match effect {
        Effect::Lost(events) => Some(events.iter().map(|event| event.seq)),
        _ => None,
    });
    lost.flatten().collect()
}

/// Rule 16.
#[test]
fn what_a_room_had_applied_and_the_log_lost_is_handed_back() {
    let mut bench = Bench::new();
    (1..=8).for_each(|ticket| bench.say(ticket, OWNER));
    bench.run();
    assert_eq!(lost(&reload(&mut bench, 7, 6)), [7, 8, 9]);
    assert!(lost(&reload(&mut bench, 7, 6)).is_empty(), "once");
}

/// Rule 17.
#[test]
fn subscribers_who_saw_what_was_lost_are_told() {
    let mut bench = Bench::new();
    (1..=8).for_each(|ticket| bench.say(ticket, OWNER));
    bench.run();
    assert!(reload(&mut bench, 9, 8).contains(&Effect::Reset), "they saw 9 of the first epoch");
}

#[test]
fn subscribers_who_saw_nothing_that_was_lost_go_on() {
    let mut bench = Bench::new();
    (1..=8).for_each(|ticket| bench.say(ticket, OWNER));
    bench.run();
    assert_eq!(reload(&mut bench, 10, 9), []);
    assert_eq!(reload(&mut bench, 10, 12), [Effect::CatchUp(Sequence(9))]);
}

#[test]
fn a_newer_epoch_in_which_nothing_follows_has_the_room_loaded_again() {
    let mut bench = Bench::new();
    let applied = bench.machine.state().applied();
    assert_eq!(bench.machine.told_head(None), [Effect::Fill(applied)]);
    assert!(bench.machine.filled(Vec::new(), false).is_empty());
    assert!(bench.machine.told_epoch(Epoch(1)).is_empty(), "its own");
    assert_eq!(bench.machine.told_epoch(Epoch(2)), [Effect::Reload]);
}

#[test]
fn a_newer_epoch_told_while_a_batch_is_on_its_way_is_looked_for_whatever_the_answer() {
    let mut bench = Bench::new();
    bench.say(1, OWNER);
    bench.batch();
    let epoch = Epoch(bench.log.head.position.epoch.0 + 1);
    assert_eq!(bench.machine.told_epoch(epoch), []);
    let effects = bench.answer(Err(AppendError::Full { retry_after: Duration::from_secs(1) }));
    assert_eq!(refused(&effects, 1), Some("busy"));
    assert_eq!(effects.last(), Some(&Effect::Fill(Sequence(1))));
    assert_eq!(bench.machine.filled(Vec::new(), false), []);
    assert_eq!(bench.machine.told_epoch(epoch), [Effect::Reload]);
}

/// Rule 23.
#[test]
fn what_fills_a_hole_under_a_newer_epoch_is_not_applied() {
    let mut bench = Bench::new();
    let applied = bench.machine.state().applied();
    assert_eq!(bench.machine.told_head(None), [Effect::Fill(applied)]);
    let mut event = bench.foreign(5);
    event.epoch = 2;
    assert_eq!(bench.machine.filled(vec![event], false), [Effect::Reload]);
    assert_eq!(bench.machine.state().applied(), applied);
}

#[test]
fn what_was_sent_once_is_a_repeat_and_keeps_its_identifier() {
    let mut bench = Bench::new();
    let key = Key { text: "k".to_owned(), made_at: Some(7) };
    let send = Command::Send(wire::Message { text: "hello".to_owned() });
    bench.machine.submit(1, acting(OWNER), send, Some(key), bench.now).unwrap();
    let new = |batch: Option<Append>| batch.unwrap().events.remove(0);
    let first = new(bench.batch().1);
    assert_eq!(first.made_at, Some(7));
    bench.answer(Err(AppendError::Behind));
    bench.machine.filled(Vec::new(), false);
    let second = new(bench.batch().1);
    assert_eq!((second.made_at, second.event.id), (None, first.event.id));
    let effects = bench.answer(Err(AppendError::Unknown(Unavailable::new("planted"))));
    let [Effect::Retry(third)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((third.events[0].made_at, third.events[0].event.id), (None, first.event.id));
}

/// A command that may have been appended to a log that is lost, and the room in the epoch after that.
fn in_doubt_when_the_log_is_lost() -> (Bench, wire::Event, Vec<Effect<u32>>) {
    let mut bench = Bench::new();
    bench.say(1, OWNER);
    let lost = bench.batch().1.unwrap().events.remove(0).event;
    bench.answer(Err(AppendError::Unknown(Unavailable::new("planted"))));
    bench.answer(Err(AppendError::StaleEpoch));
    let epoch = bench.machine.state().head.position.epoch;
    let mut state = bench.machine.state().clone();
    state.head.position.epoch = Epoch(epoch.0 + 1);
    state.spans.push(Span { epoch: Epoch(epoch.0 + 1), base: Sequence(2) });
    let effects = bench.machine.reloaded(state);
    (bench, lost, effects)
}

/// Rule 16.
#[test]
fn what_others_saw_before_the_log_was_lost_says_where_it_stood() {
    let (mut bench, lost, effects) = in_doubt_when_the_log_is_lost();
    assert_eq!(effects, [Effect::AskOthers(vec![lost.id])]);
    assert_eq!(bench.batch(), (Vec::new(), None), "it waits for what they say");
    let place = |epoch, seq| Position { epoch: Epoch(epoch), seq: Sequence(seq) };
    let places = [(lost.id, place(1, 7)), (lost.id, place(1, 6)), (lost.id + 1, place(1, 2)), (lost.id, place(2, 1))];
    assert_eq!(bench.machine.others_told(&places), []);
    let again = bench.batch().1.unwrap().events.remove(0).event;
    assert_eq!((again.id, again.first), (lost.id, Some(place(1, 6).into())), "the earliest of a log before");
}

#[test]
fn what_nobody_saw_stands_where_it_comes_to_stand_and_nobody_is_asked_twice() {
    let (mut bench, lost, _) = in_doubt_when_the_log_is_lost();
    assert_eq!(bench.machine.told_head(None), [], "looked at afterwards");
    assert_eq!(bench.machine.others_told(&[]), [Effect::Fill(Sequence(1))]);
    bench.machine.filled(Vec::new(), false);
    let again = bench.batch().1.unwrap().events.remove(0).event;
    assert_eq!((again.id, again.first), (lost.id, None));
    bench.answer(Err(AppendError::StaleEpoch));
    let state = bench.machine.state().clone();
    assert_eq!(bench.machine.reloaded(state), []);
}

#[test]
fn a_room_says_where_it_saw_events_also_when_its_log_lost_them() {
    let mut bench = Bench::new();
    let mut seen = bench.foreign(50);
    bench.machine.heard(vec![seen.clone()]);
    let (ids, position) = ([50, 51], seen.position());
    assert_eq!(bench.machine.first_places(&ids), [(50, position)]);
    let mut state = bench.machine.state().clone();
    let epoch = Epoch(position.epoch.0 + 1);
    state.head.position = Position { epoch, seq: Sequence(1) };
    state.spans.push(Span { epoch, base: Sequence(2) });
    bench.machine.reloaded(state);
    assert_eq!(bench.machine.first_places(&ids), [(50, position)], "put back, and not there yet");
    (seen.epoch, seen.first) = (epoch.0, Some(position.into()));
    bench.machine.heard(vec![seen]);
    assert_eq!(bench.machine.first_places(&ids), [(50, position)], "there again");
}
