//! The protocol under random schedules: one room, three nodes, servers that lose what they hold, a store that
//! does not always answer, clients that try again elsewhere. Every call of every job is a step of its own, and
//! between any two steps anything may happen. Then all faults end, and the room has to come to rest.
//!
//! What must never be, by class:
//! - A: an acked message is lost, outside the one class that rule 16 names.
//! - B: a message stands twice. C: two contents stood at one position. Cd: the log has a hole.
//! - D: a removed member's message is taken. E: something is released or trimmed that is not stored.
//! - F: the room does not come to rest. G: an event does not say where it stood first.
//! - H: a message acked as history is lost. M: an event has no message row.
//! - T: time goes back. U: a client is told that surely nothing was appended, and it was.

mod checks;
mod node;
mod schedule;
mod scripts;
mod world;

use std::time::{Duration, Instant};

use super::Plant;
use schedule::{Act, Fault, Random, Scheduler};
use world::{NODES, PROBE, ROOM, Violation, Who, World};

/// Schedules that have to be clean.
const SCHEDULES: u64 = 3_000;

/// Schedules in which a rule that was taken away has to be missed.
const SCHEDULES_PLANTED: u64 = 20_000;

/// One run: its seed says all of it.
struct Run {
    seed: u64,
    acts: Vec<Act>,
    violations: Vec<Violation>,
}

fn world(seed: u64) -> World {
    let mut random = Random::new(seed ^ 0x5bd1_e995);
    World::new(random.below(3) as u64, random.below(64))
}

fn run(seed: u64) -> Run {
    let mut scheduler = Scheduler::new(seed);
    let mut world = world(seed);
    let mut acts = Vec::new();
    for _ in 0..scheduler.length() {
        let act = scheduler.draw(&world.jobs());
        if world.apply(act) {
            acts.push(act);
        }
        if !world.violations.is_empty() {
            break;
        }
    }
    come_to_rest(&mut world, seed);
    Run { seed, acts, violations: world.violations }
}

/// The same run with these acts alone.
fn replay(seed: u64, acts: &[Act], trace: bool) -> Vec<Violation> {
    let mut world = world(seed);
    world.trace = trace;
    for act in acts {
        world.say(|| format!("- {act:?}"));
        world.apply(*act);
        if !world.violations.is_empty() {
            break;
        }
    }
    come_to_rest(&mut world, seed);
    world.violations
}

/// Leaves out what the violation does not need.
fn shrink(run: &Run) -> Vec<Act> {
    let class = run.violations[0].class;
    let mut acts = run.acts.clone();
    let mut chunk = acts.len() / 2;
    while chunk > 0 {
        let mut at = 0;
        while at < acts.len() {
            let mut fewer = acts.clone();
            fewer.drain(at..(at + chunk).min(acts.len()));
            if replay(run.seed, &fewer, false).iter().any(|violation| violation.class == class) {
                acts = fewer;
            } else {
                at += chunk;
            }
        }
        chunk /= 2;
    }
    acts
}

/// No faults any more: the master alone is up, everything answers, nodes do what they have to do.
fn come_to_rest(world: &mut World, seed: u64) {
    if !world.violations.is_empty() {
        return;
    }
    world.say(|| "- at rest".to_owned());
    world.at_rest = true;
    world.forget_ghosts();
    world.apply(Act::StoreUp);
    world.apply(Act::Demote);
    (0..NODES).for_each(|node| {
        world.switch(node);
    });
    let mut random = Random::new(seed ^ 0x9e37);
    let mut restful = 0;
    for round in 0..400 {
        world.clock.advance(Duration::from_secs(2));
        let node = random.below(NODES);
        if round >= 15 && !world.ops[PROBE].acked {
            world.start(node, vec![PROBE]);
        }
        exhaust(world, node, &mut random);
        world.beat(node);
        world.start_salvage(node);
        if random.below(3) == 0 {
            world.start_archive(node);
        }
        if random.below(3) == 0 {
            world.catch_up(node);
        }
        exhaust(world, node, &mut random);
        restful = if is_at_rest(world) { restful + 1 } else { 0 };
        if restful > 6 {
            break;
        }
    }
    world.check_end(restful > 6);
}

/// Runs the jobs of a node to their ends.
fn exhaust(world: &mut World, at: usize, random: &mut Random) {
    for _ in 0..120 {
        let jobs: Vec<Who> = world.jobs().into_iter().filter(|(node, _)| *node == at).map(|(_, who)| who).collect();
        let who = match jobs.iter().find(|who| matches!(who, Who::Raise | Who::Salvage)) {
            Some(who) => *who,
            None if jobs.is_empty() => return,
            None => jobs[random.below(jobs.len())],
        };
        world.step(at, who, Fault::None);
    }
}

fn is_at_rest(world: &World) -> bool {
    let idle = world.jobs().is_empty();
    let released = world.nodes.iter().all(|node| node.ports.unarchived.of(ROOM).is_empty());
    let live = world::now(crate::ports::LiveLog::head(&*world.servers[world.master], ROOM)).ok().flatten();
    let archived = live.is_some_and(|live| live.archived == live.head.position.seq);
    idle && released && archived && world.ops[PROBE].acked
}

fn tell(run: &Run) -> String {
    let acts = shrink(run);
    replay(run.seed, &acts, true);
    format!("seed {}: {:?}\nshortened to {acts:?}", run.seed, run.violations)
}

/// `SIMULATION_SEED` and `SIMULATION_SCHEDULES` say where to begin and how many schedules to try.
#[test]
fn no_schedule_breaks_a_promise() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let first = number("SIMULATION_SEED").unwrap_or(1);
    let count = number("SIMULATION_SCHEDULES").unwrap_or(SCHEDULES);
    let start = Instant::now();
    for seed in first..first + count {
        let run = run(seed);
        assert!(run.violations.is_empty(), "{}", tell(&run));
    }
    println!("{count} schedules from {first} in {:?}", start.elapsed());
}

/// Takes a rule away, and looks for a schedule that then breaks a promise of one of these classes.
fn missed(rule: Plant, classes: &[&str], first: u64) {
    Plant::plant(Some(rule));
    let is_broken = |run: &Run| run.violations.iter().any(|violation| classes.contains(&violation.class));
    let found = (first..first + SCHEDULES_PLANTED).map(run).find(is_broken);
    Plant::plant(None);
    let broken = found.unwrap_or_else(|| panic!("no schedule misses {rule:?}"));
    let whole = run(broken.seed).violations;
    assert!(whole.is_empty(), "with the rule the same schedule is clean: {whole:?}");
    println!("{rule:?}: seed {} of {first}..: {:?}", broken.seed, broken.violations[0]);
}

/// A test for each rule that can be taken away: what is then broken, and a seed from which on that is found soon.
macro_rules! missed {
    ($($test:ident: $rule:ident, $classes:expr, $first:expr;)*) => {$(
        #[test]
        fn $test() {
            missed(Plant::$rule, &$classes, $first);
        }
    )*};
}

missed! {
    rule_6_an_append_compares_the_servers_life: AnyLife, ["C"], 4;
    rule_6_an_append_compares_the_epoch: AnyEpoch, ["A"], 390;
    rule_6_an_append_compares_the_state: NotBehind, ["D"], 27;
    rule_7_the_live_log_knows_its_keys: NoKeys, ["B"], 1;
    rule_8_the_table_of_keys_is_asked: NeverAsk, ["B"], 28;
    rule_8_room_log_is_read_again_after_the_table: AskStale, ["B"], 5616;
    rule_8_a_key_counts_with_its_row: KeyWithoutRow, ["A"], 174;
    rule_8_a_key_counts_where_its_position_is_owned: KeyOfOrphan, ["A", "H"], 31;
    rule_9_an_unknown_outcome_is_not_called_busy: UnknownIsBusy, ["U"], 1;
    rule_11_what_is_not_stored_is_held: HoldNothing, ["A"], 1;
    rule_11_who_answers_a_repeat_holds_it: HoldNoRepeat, ["A"], 1;
    rule_11_only_the_same_epoch_releases: ReleaseAnyEpoch, ["E"], 12;
    rule_12_a_history_ack_reads_room_log: HistoryUnread, ["H", "D"], 8363;
    rule_12_a_history_ack_reads_room_log_last: HistoryReadFirst, ["H", "D"], 17309;
    rule_14b_a_fence_stops_appends: OpenFence, ["A", "E"], 7674;
    rule_14c_what_the_live_log_holds_is_stored: CopyNothing, ["A", "E"], 3;
    rule_14d_the_base_is_where_the_first_hole_is: HighestBase, ["Cd"], 127;
    rule_14d_orphans_are_renumbered: LeaveOrphans, ["H"], 148;
    rule_14d_unless_their_key_is_owned: RenumberAll, ["B"], 180;
    rule_14e_only_its_raiser_begins_an_epoch: AnybodyBegins, ["C", "Cd"], 4869;
    rule_15_rows_are_read_after_the_raise: ScanFirst, ["Cd", "C", "H"], 5669;
    rule_16_what_is_held_is_salvaged: NoSalvage, ["A", "F"], 12;
    rule_16_an_event_keeps_its_first_position: ForgetFirst, ["G"], 12;
    rule_19_the_row_comes_last: RowFirst, ["M"], 1487;
    rule_19_the_archiver_reads_room_log_again: ArchiveUnread, ["Cd", "E", "F"], 11341;
    rule_19_nothing_is_released_before: ReleaseEarly, ["E"], 218;
}
