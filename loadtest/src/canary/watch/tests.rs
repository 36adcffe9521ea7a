use tokio::time::{advance, sleep};

use super::*;
use crate::dialect::Said;

const ROOM: u64 = 42;

/// A room, the two of whom are there, and what its log holds.
struct Fixture {
    watch: Watch,
    metrics: Rc<CanaryMetrics>,
    epoch: u64,
    seq: u64,
}

impl Fixture {
    fn new() -> Self {
        let metrics = Rc::new(CanaryMetrics::new());
        let names = vec!["a:1".to_owned(), "b:1".to_owned()];
        let watch = Watch::new(ROOM, names, metrics.clone()).unwrap();
        let mut fixture = Self { watch, metrics, epoch: 1, seq: 2 };
        for who in [0, 1] {
            fixture.subscribe(who, None);
            fixture.watch.came(who, Duration::ZERO);
        }
        fixture
    }

    fn subscribe(&mut self, who: usize, reset: Option<wire::ResetReason>) {
        let head = Some(wire::Position { epoch: self.epoch, seq: self.seq });
        let subscribed = wire::SubscribeOk { room: ROOM, head, reset: reset.map(Into::into), error: None };
        self.watch.subscribed(who, &subscribed).unwrap();
    }

    /// The log takes a message; gives what its receivers get.
    fn append(&mut self, index: u64) -> Delivery {
        self.seq += 1;
        let said = Said { index: Some(index), ordinal: Some(self.seq - 2), text: self.watch.messages.text(index) };
        let (epoch, seq) = (self.epoch, self.seq);
        Delivery { room: ROOM, epoch, seq, id: 100 + seq, at: seq as i64, author: 1, said: Some(said) }
    }

    fn ack(&mut self, index: u64, delivery: &Delivery) {
        self.watch.acked(index, Some(Placed { room: ROOM, seq: delivery.seq, id: delivery.id }));
    }

    fn deliver(&mut self, who: usize, delivery: &Delivery) {
        self.watch.delivered(who, delivery, format!("{delivery:?}").as_bytes());
    }

    /// Somebody says something, which is acked and comes to `receivers`.
    fn say(&mut self, from: usize, receivers: &[usize]) -> Delivery {
        let index = self.watch.begin(from).unwrap().unwrap();
        let delivery = self.append(index);
        self.ack(index, &delivery);
        for who in receivers {
            self.deliver(*who, &delivery);
        }
        delivery
    }

    /// Time passes, in which is looked as often as a connection does.
    async fn pass(&mut self, seconds: u64) {
        for _ in 0..2 * seconds {
            advance(Duration::from_millis(500)).await;
            self.watch.look().unwrap();
        }
    }

    fn figure(&self, sample: &str) -> u64 {
        figure(&self.metrics, sample)
    }

    /// Kinds of promises that were told to be broken, and how often.
    fn broken(&mut self) -> Vec<(String, u64)> {
        self.watch.look().unwrap();
        let text = self.metrics.text();
        let samples =
            text.lines().filter_map(|line| line.strip_prefix("bobchat_canary_broken_promises_total{promise=\""));
        let counts = samples.filter_map(|sample| sample.split_once("\"} ")).map(|(kind, count)| (kind, count.parse()));
        let counts = counts.map(|(kind, count)| (kind.to_owned(), count.unwrap()));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

fn figure(metrics: &CanaryMetrics, sample: &str) -> u64 {
    let text = metrics.text();
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{sample}:\n{text}")).parse().unwrap()
}

const LATE: &str = "bobchat_canary_deliveries_total{from=\"a:1\",to=\"b:1\",outcome=\"late\"}";
const NEVER: &str = "bobchat_canary_deliveries_total{from=\"a:1\",to=\"b:1\",outcome=\"never\"}";
const SKIPPED: &str = "bobchat_canary_sends_total{target=\"a:1\",outcome=\"skipped\"}";

#[tokio::test(start_paused = true)]
async fn a_chapter_ends_when_it_is_full_and_all_has_arrived() {
    let mut fixture = Fixture::new();
    for _ in 0..CHAPTER_MESSAGES {
        fixture.say(0, &[0, 1]);
    }
    let before = fixture.watch.messages.key(0);
    assert_eq!(fixture.watch.begin(0).unwrap(), Some(0), "another chapter counts anew");
    assert_ne!(fixture.watch.messages.key(0), before, "messages of another chapter are others");
    assert_eq!((fixture.broken(), fixture.watch.begun_anew), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn a_chapter_that_ends_says_what_never_came() {
    let mut fixture = Fixture::new();
    // Nobody gets an event that is no message of the two.
    fixture.seq += 1;
    for _ in 0..=CHAPTER_MESSAGES {
        fixture.say(1, &[0, 1]);
    }
    // Each of the two misses it.
    assert_eq!(fixture.broken(), [("loss".to_owned(), 2)]);
}

#[tokio::test(start_paused = true)]
async fn while_one_is_away_nothing_is_said_beyond_the_chapter() {
    let mut fixture = Fixture::new();
    fixture.watch.left(1);
    let mut said = Vec::new();
    while let Some(index) = fixture.watch.begin(0).unwrap() {
        let delivery = fixture.append(index);
        fixture.ack(index, &delivery);
        fixture.deliver(0, &delivery);
        said.push(delivery);
        assert!(said.len() <= CHAPTER_MESSAGES as usize, "it goes on for ever");
    }
    assert_eq!((said.len(), fixture.figure(SKIPPED)), (CHAPTER_MESSAGES as usize, 1));
    fixture.watch.came(1, Duration::from_secs(7_200));
    for delivery in &said {
        fixture.deliver(1, delivery);
    }
    assert!(fixture.watch.begin(0).unwrap().is_some(), "it goes on");
    assert_eq!(fixture.broken(), []);
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_ten_seconds_is_late_and_counted_once() {
    let mut fixture = Fixture::new();
    let delivery = fixture.say(0, &[0]);
    fixture.pass(9).await;
    assert_eq!(fixture.watch.pending.len(), 1);
    assert!(!fixture.metrics.text().contains(LATE));
    fixture.pass(3).await;
    assert_eq!(fixture.figure(LATE), 1);
    fixture.deliver(1, &delivery);
    fixture.pass(120).await;
    assert_eq!((fixture.figure(LATE), fixture.broken()), (1, vec![]));
    assert!(!fixture.metrics.text().contains("in_time") && !fixture.metrics.text().contains(NEVER));
}

#[tokio::test(start_paused = true)]
async fn what_never_comes_is_lost_when_both_were_there_and_it_begins_anew() {
    let mut fixture = Fixture::new();
    fixture.say(0, &[0]);
    fixture.watch.left(1);
    fixture.pass(300).await;
    assert_eq!(fixture.watch.begun_anew, 0, "who is away may still get it");
    fixture.watch.came(1, Duration::from_secs(300));
    fixture.pass(59).await;
    assert_eq!(fixture.watch.begun_anew, 0, "who has just come may still get it");
    fixture.pass(2).await;
    assert_eq!((fixture.watch.begun_anew, fixture.figure(NEVER)), (1, 1));
    assert_eq!(fixture.broken(), [("loss".to_owned(), 1)]);
    assert_eq!(fixture.watch.begin(0).unwrap(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn too_many_without_an_ack_are_no_more_said_and_the_node_hangs() {
    let mut fixture = Fixture::new();
    for _ in 0..UNANSWERED_MAX {
        assert!(fixture.watch.begin(0).unwrap().is_some());
    }
    assert_eq!((fixture.watch.begin(0).unwrap(), fixture.figure(SKIPPED)), (None, 1));
    assert!(fixture.watch.begin(1).unwrap().is_some(), "the other one may");
    assert!(!fixture.watch.is_stuck(0));
    sleep(LATE_AFTER + Duration::from_secs(1)).await;
    assert!(fixture.watch.is_stuck(0));
    fixture.watch.left(0);
    fixture.watch.came(0, Duration::ZERO);
    assert!(!fixture.watch.is_stuck(0), "another connection has its own time");
}

/// The log is an older one again, goes on in another epoch, and what was acked before is added once more.
#[tokio::test(start_paused = true)]
async fn a_log_that_was_restored_breaks_the_one_promise_that_it_does() {
    let mut fixture = Fixture::new();
    for _ in 0..20 {
        fixture.say(0, &[0, 1]);
    }
    fixture.say(0, &[0]);
    (fixture.epoch, fixture.seq) = (2, 7);
    for who in [0, 1] {
        fixture.subscribe(who, Some(wire::ResetReason::NewEpoch));
        assert_eq!(fixture.watch.newest(), None, "nothing of before has to stand in history");
    }
    // What had no ack is added once more, under a key of before: it is nobody's message any more.
    let mut again = fixture.append(0);
    again.said = again.said.map(|said| Said { index: None, ..said });
    for who in [0, 1] {
        fixture.deliver(who, &again);
    }
    fixture.pass(120).await;
    assert_eq!(fixture.broken(), [("reset".to_owned(), 2)]);
    assert_eq!(fixture.watch.begun_anew, 2);
    for _ in 0..=CHAPTER_MESSAGES {
        fixture.say(1, &[0, 1]);
    }
    assert_eq!(fixture.broken(), [("reset".to_owned(), 2)]);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_dropped_in_the_middle_of_a_talk_leaves() {
    let fixture = Fixture::new();
    let metrics = fixture.metrics.clone();
    let connected = ["a:1", "b:1"].map(|name| format!("bobchat_canary_connected{{target=\"{name}\"}}"));
    assert_eq!(connected.each_ref().map(|sample| figure(&metrics, sample)), [1, 1]);
    drop(fixture);
    assert_eq!(connected.each_ref().map(|sample| figure(&metrics, sample)), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_end_tells_what_was_broken_in_earlier_chapters_too() {
    let mut fixture = Fixture::new();
    fixture.watch.reset(0, None).unwrap();
    fixture.subscribe(0, None);
    fixture.say(0, &[0, 1]);
    assert_eq!(fixture.watch.finish(), [format!("reset: the stream of room {ROOM} broke off")]);
    assert!(Fixture::new().watch.finish().is_empty());
}
