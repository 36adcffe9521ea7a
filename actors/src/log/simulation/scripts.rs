//! What random schedules hardly ever come upon, step by step.

use super::schedule::{Act, Fault};
use super::world::{Who, World, call};
use super::{Plant, come_to_rest};
use crate::log::Call;

/// Messages 0, 3 and 4 wait until they are stored.
const ALL_HISTORY: usize = 0b1_1001;

/// Takes steps of a job until it is about to call something.
fn step_until(world: &mut World, at: usize, who: Who, wanted: impl Fn(&Call) -> bool) {
    for _ in 0..100 {
        let node = &mut world.nodes[at];
        let next = match who {
            Who::Raise => node.raise.as_mut().and_then(call),
            Who::Send(op) => {
                let sending = node.sends.iter_mut().find(|sending| sending.ops[0] == op);
                sending.and_then(|sending| sending.job.as_mut()).and_then(call)
            }
            Who::Archive | Who::Salvage => None,
        };
        if next.is_some_and(|call| wanted(&call)) {
            return;
        }
        world.step(at, who, Fault::None);
    }
    panic!("the job never calls that");
}

fn send(world: &mut World, at: usize, op: usize) {
    world.apply(Act::Start(op, at));
    while world.nodes[at].sends.iter().any(|sending| sending.ops[0] == op) {
        world.apply(Act::Step(at, Who::Send(op), Fault::None));
        if world.nodes[at].raise.is_some() {
            return;
        }
    }
}

fn classes(script: impl Fn(&mut World), history: usize, rule: Option<Plant>) -> Vec<&'static str> {
    Plant::plant(rule);
    let mut world = World::new(0, history);
    script(&mut world);
    come_to_rest(&mut world, 1);
    Plant::plant(None);
    world.violations.iter().map(|violation| violation.class).collect()
}

/// A log is opened, and nobody hears of it; a replica is promoted, and the raiser is connected to it.
fn an_open_whose_answer_is_lost(world: &mut World) {
    world.apply(Act::Snapshot);
    world.apply(Act::FlushAll);
    send(world, 0, 0);
    step_until(world, 0, Who::Raise, |call| matches!(call, Call::Open(_)));
    world.apply(Act::Step(0, Who::Raise, Fault::Lost));
    world.apply(Act::Pause);
    send(world, 1, 3);
    world.apply(Act::Failover);
    world.apply(Act::Switch(0));
    world.apply(Act::Step(0, Who::Raise, Fault::None));
    world.apply(Act::Pause);
    send(world, 0, 4);
}

#[test]
fn rule_14f_only_a_fenced_log_is_opened_and_never_again() {
    assert_eq!(classes(an_open_whose_answer_is_lost, 0, None), [""; 0]);
    let broken = classes(an_open_whose_answer_is_lost, 0, Some(Plant::OpenUnfenced));
    assert!(broken.contains(&"C"), "{broken:?}");
}

/// Two nodes raise at once, and one does not hear that it lost; both find orphans, but not the same.
fn a_raise_whose_answer_is_lost(world: &mut World) {
    let at_store = |call: &Call| matches!(call, Call::Store(_));
    for op in [0, 3, 4] {
        world.apply(Act::Start(op, 2));
        step_until(world, 2, Who::Send(op), at_store);
    }
    world.apply(Act::Step(2, Who::Send(4), Fault::None));
    world.apply(Act::FlushAll);
    for node in [0, 1] {
        world.load(node);
        world.start_raise(node);
    }
    world.apply(Act::Step(0, Who::Raise, Fault::NotDone));
    let at_begin = |call: &Call| matches!(call, Call::Begin(..));
    step_until(world, 1, Who::Raise, at_begin);
    world.apply(Act::Step(2, Who::Send(3), Fault::None));
    for _ in 0..20 {
        world.apply(Act::Step(0, Who::Raise, Fault::None));
    }
}

#[test]
fn rule_14a_only_the_token_makes_an_epoch_ours() {
    assert_eq!(classes(a_raise_whose_answer_is_lost, ALL_HISTORY, None), [""; 0]);
    let broken = classes(a_raise_whose_answer_is_lost, ALL_HISTORY, Some(Plant::AnyRaiser));
    assert!(broken.contains(&"C"), "{broken:?}");
}
