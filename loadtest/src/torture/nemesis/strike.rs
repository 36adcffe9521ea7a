//! One fault: broken, whole again, and over when a message was acknowledged after it.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::Signal;

use super::super::history::deed::{Deed, Proof};
use super::super::history::fact::Op;
use super::super::network::tally::Tally;
use super::super::run::Torture;
use super::super::shared::Progress;
use super::super::site::Site;
use super::super::site::node::told;
use super::Nemesis;
use super::fault::{CASSANDRA_STARTS_FOR, Fault, Target};
use super::network::{self, Manner};
use super::schedule::Planned;

/// How long a crash waits for messages to be on their way: in the middle of a burst it does most harm.
const BURST_MAX: Duration = Duration::from_millis(500);

/// What is done again and again is done this often.
const AGAIN_EVERY: Duration = Duration::from_millis(500);

/// What was on its way when something was stopped may still be answered for so long.
const FLIGHT: Duration = Duration::from_millis(300);

/// How much longer a fault lasts that has not bitten yet.
const HOLD_MAX: Duration = Duration::from_secs(10);

/// After that, messages count as not acknowledged any more.
const RECOVERY_GIVEN_UP: Duration = Duration::from_secs(60);

/// By how many seconds a clock is stepped.
const CLOCK_STEP: i64 = 3_600;

/// How far two clocks are apart that go right: the header that says it has whole seconds and may be a second old.
const CLOCK_SLACK: i64 = 30;

/// How a shell says that what it ran was killed: 128 and the number of the signal.
const KILLED: i32 = 128 + 9;

/// What Redis may hold when it is full: less than it needs.
const REDIS_FULL: &str = "1mb";

/// A fault that was begun.
pub(super) struct Strike {
    planned: Planned,
    began: Instant,
    from_ns: u64,
    /// What was counted before it.
    before: Progress,
    /// The same, by the links that it is done to.
    carried: Tally,
    /// What was counted a little after it began, when nothing was on its way any more.
    quiet: Option<Progress>,
    proof: Vec<Proof>,
    /// The process that it ended.
    pid: Option<u32>,
    /// Something that was counted on the way.
    count: u64,
    /// What a server said before.
    said: String,
    done_again: Instant,
    /// When all was whole again, and what was counted then.
    ended: Option<(Instant, u64, Progress)>,
    /// What was counted when somebody had reached a node again whose process it ended: what had been answered before may
    /// have waited until then to be read.
    reached: Option<Progress>,
    recovered: Option<Duration>,
}

impl Strike {
    /// Begins what is planned.
    ///
    /// # Errors
    /// When it cannot be done.
    pub(super) fn begin(nemesis: &mut Nemesis<'_>, planned: &Planned) -> anyhow::Result<Self> {
        let before = nemesis.torture.progress();
        let mut strike = Self {
            planned: planned.clone(),
            began: Instant::now(),
            from_ns: nemesis.torture.now_ns(),
            before,
            carried: network::tally(nemesis.site, planned),
            quiet: None,
            proof: Vec::new(),
            pid: None,
            count: 0,
            said: String::new(),
            done_again: Instant::now(),
            ended: None,
            reached: None,
            recovered: None,
        };
        strike.strike(nemesis)?;
        Ok(strike)
    }

    fn strike(&mut self, nemesis: &mut Nemesis<'_>) -> anyhow::Result<()> {
        match self.planned.fault {
            Fault::Kill => self.kill_node(nemesis)?,
            Fault::Pause => self.stand_still(nemesis.site, Signal::STOP)?,
            Fault::Restart | Fault::Roll => {
                let node = self.node(nemesis.site)?;
                self.pid = node.pid();
                node.signal(Signal::TERM)?;
            }
            Fault::DiskFull => self.count = nemesis.site.disk.as_ref().context("no small disk")?.fill()?,
            Fault::Clock => {
                self.node(nemesis.site)?.clock.as_ref().context("no clock of its own")?.set_off_by(CLOCK_STEP)?;
            }
            Fault::Storm => nemesis.torture.storm(),
            Fault::RedisKill | Fault::RedisLose => {
                let redis = nemesis.site.redis()?;
                self.said = redis.info("server", "run_id")?;
                self.count = redis.number(&["DBSIZE"])?;
                redis.kill()?;
            }
            Fault::RedisPause | Fault::CassandraPause => self.stand_still(nemesis.site, Signal::STOP)?,
            Fault::RedisFlush => {
                let redis = nemesis.site.redis()?;
                self.count = redis.number(&["DBSIZE"])?;
                redis.call(&["FLUSHALL"])?;
            }
            Fault::CassandraKill => {
                let cassandra = nemesis.site.cassandra()?;
                self.pid = cassandra.pid();
                let status = cassandra.kill()?;
                self.proof.push(Proof::holds("its starter ended with", told(status), status.code() == Some(KILLED)));
            }
            Fault::RedisForgetRoom => self.forget_room(nemesis)?,
            Fault::RedisSubscribers => self.cut_subscribers(nemesis.site)?,
            Fault::RedisFull => {
                nemesis.site.redis()?.call(&["CONFIG", "SET", "maxmemory", REDIS_FULL])?;
            }
            Fault::NetClients | Fault::NetRedis | Fault::NetNodes | Fault::NetCassandra | Fault::NetSlow => {
                network::harm(nemesis.site, &self.planned)?;
            }
        }
        Ok(())
    }

    fn node<'s>(&self, site: &'s mut Site) -> anyhow::Result<&'s mut super::super::site::node::Node> {
        match self.planned.target {
            Target::Node(number) => site.node(number),
            other => anyhow::bail!("{} is no node", other.told()),
        }
    }

    fn kill_node(&mut self, nemesis: &mut Nemesis<'_>) -> anyhow::Result<()> {
        while nemesis.torture.pending() == 0 && self.began.elapsed() < BURST_MAX {
            std::thread::sleep(Duration::from_millis(1));
        }
        let waiting = nemesis.torture.pending();
        self.from_ns = nemesis.torture.now_ns();
        let node = self.node(nemesis.site)?;
        self.pid = node.pid();
        let status = node.kill()?;
        self.proof.push(Proof::holds("ended by", told(status), told(status) == "signal 9"));
        self.proof.push(Proof::holds("messages on their way", waiting, true));
        Ok(())
    }

    /// Stops a process where it stands, or lets it go on.
    fn stand_still(&self, site: &mut Site, signal: Signal) -> anyhow::Result<()> {
        match self.planned.target {
            Target::Redis => site.redis()?.signal(signal),
            Target::Cassandra => site.cassandra()?.process()?.signal(signal),
            _ => self.node(site)?.signal(signal),
        }
    }

    /// How the system says that a process is: `T` is stopped.
    fn state(&self, site: &mut Site) -> anyhow::Result<String> {
        match self.planned.target {
            Target::Redis => site.redis()?.process()?.state(),
            Target::Cassandra => site.cassandra()?.process()?.state(),
            _ => crate::process::Process::new(self.node(site)?.pid().context("the node has ended")?).state(),
        }
    }

    fn forget_room(&mut self, nemesis: &mut Nemesis<'_>) -> anyhow::Result<()> {
        let rooms = nemesis.torture.rooms();
        let room = *rooms.get(self.planned.choice % rooms.len().max(1)).context("no rooms")?;
        let redis = nemesis.site.redis()?;
        let keys = redis.keys(&format!("bob:*:{room}:*"))?;
        if !keys.is_empty() {
            let words: Vec<&str> = std::iter::once("DEL").chain(keys.iter().map(String::as_str)).collect();
            self.count = redis.number(&words)?;
        }
        self.said = room.to_string();
        Ok(())
    }

    fn cut_subscribers(&mut self, site: &mut Site) -> anyhow::Result<()> {
        self.count += site.redis()?.number(&["CLIENT", "KILL", "TYPE", "pubsub"])?;
        self.done_again = Instant::now();
        Ok(())
    }

    /// Does what is due now. `whole_since`: when nothing was broken any more, this or another.
    ///
    /// # Errors
    /// When a server does not do what it must.
    pub(super) fn go_on(&mut self, nemesis: &mut Nemesis<'_>, whole_since: Instant) -> anyhow::Result<()> {
        if let Some((ended, ..)) = self.ended {
            if self.recovered.is_none() && self.is_acked_since(nemesis.torture) {
                // What another fault kept from happening is not this one's.
                self.recovered = Some(ended.elapsed().min(whole_since.elapsed()));
            }
            return Ok(());
        }
        if self.quiet.is_none() && self.began.elapsed() > FLIGHT {
            self.quiet = Some(nemesis.torture.progress());
        }
        if self.done_again.elapsed() > AGAIN_EVERY {
            self.done_again = Instant::now();
            match self.planned.fault {
                Fault::Storm => nemesis.torture.storm(),
                Fault::RedisSubscribers => self.cut_subscribers(nemesis.site)?,
                // What is removed or compacted meanwhile makes no room.
                Fault::DiskFull => self.count += nemesis.site.disk.as_ref().context("no small disk")?.fill()?,
                fault if fault.is_of_network() => network::harm(nemesis.site, &self.planned)?,
                _ => {}
            }
        }
        if self.is_due(nemesis)? {
            self.heal(nemesis)?;
            self.ended = Some((Instant::now(), nemesis.torture.now_ns(), nemesis.torture.progress()));
        }
        Ok(())
    }

    fn is_due(&mut self, nemesis: &mut Nemesis<'_>) -> anyhow::Result<bool> {
        let passed = self.began.elapsed();
        Ok(match self.planned.fault {
            Fault::Restart | Fault::Roll => match self.node(nemesis.site)?.ended()? {
                Some(status) => {
                    self.proof.push(Proof::holds("ended with", told(status), status.success()));
                    true
                }
                None => false,
            },
            Fault::DiskFull | Fault::RedisFull if passed < self.planned.length + HOLD_MAX => {
                passed >= self.planned.length && self.refusals(nemesis.torture) > 0
            }
            Fault::Clock if passed < self.planned.length + HOLD_MAX => {
                passed >= self.planned.length && self.clock_is_off(nemesis.site)?
            }
            Fault::CassandraKill => {
                passed + CASSANDRA_STARTS_FOR >= self.planned.length && self.has_started_cassandra(nemesis.site)?
            }
            Fault::Storm if passed < self.planned.length + HOLD_MAX => {
                passed >= self.planned.length && self.lost(nemesis.torture) >= nemesis.order.clients as u64
            }
            fault if fault.is_of_network() && passed < self.planned.length + HOLD_MAX => {
                passed >= self.planned.length && self.proof_of_network(nemesis.site).is_some_and(|proof| proof.holds)
            }
            _ => passed >= self.planned.length,
        })
    }

    /// Starts Cassandra again, and looks whether it serves: it takes its time, and what else is due does not wait for it.
    fn has_started_cassandra(&mut self, site: &mut Site) -> anyhow::Result<bool> {
        if site.cassandra()?.is_down() {
            self.count_what_is_not_stored(site);
            site.cassandra()?.run()?;
        }
        site.cassandra()?.serves()
    }

    /// Whether the node goes by the clock that it was given.
    fn clock_is_off(&self, site: &mut Site) -> anyhow::Result<bool> {
        Ok(self.node(site)?.clock_is_off_by().is_some_and(is_a_step))
    }

    fn count_what_is_not_stored(&mut self, site: &Site) {
        let waiting: f64 = site.nodes.iter().filter_map(|node| node.metrics().ok()).map(unstored).sum();
        self.proof.push(Proof::holds("bytes not stored", waiting, waiting > 0.0));
    }

    /// What shows that its links did what they were told to.
    fn proof_of_network(&self, site: &Site) -> Option<Proof> {
        network::proof(&self.planned, network::tally(site, &self.planned) - self.carried)
    }

    /// Answers since the beginning that said that there is too much of something.
    fn refusals(&self, torture: &Torture) -> u64 {
        let busy = |progress: &Progress| progress.errors.get("busy").copied().unwrap_or(0);
        busy(&torture.progress()) - busy(&self.before)
    }

    /// Connections that ended since the beginning.
    fn lost(&self, torture: &Torture) -> u64 {
        torture.progress().gone - self.before.gone
    }

    fn heal(&mut self, nemesis: &mut Nemesis<'_>) -> anyhow::Result<()> {
        match self.planned.fault {
            Fault::Kill | Fault::Restart | Fault::Roll => {
                let before = self.pid.unwrap_or_default().to_string();
                let node = self.node(nemesis.site)?;
                node.run()?;
                let after = node.pid().unwrap_or_default().to_string();
                self.proof.push(Proof::changed("process", &before, &after));
            }
            Fault::Pause | Fault::RedisPause | Fault::CassandraPause => self.let_go(nemesis)?,
            Fault::Clock => {
                let acked = self.acks(&nemesis.torture.progress()) - self.acks(&self.before);
                let node = self.node(nemesis.site)?;
                let off = node.clock_is_off_by();
                let told = off.map_or("unknown".to_owned(), |off| format!("{off} s"));
                node.clock.as_ref().context("no clock of its own")?.set_off_by(0)?;
                self.proof.push(Proof::holds("its clock was off by", told, off.is_some_and(is_a_step)));
                self.proof.push(Proof::count("acks by it meanwhile", acked));
            }
            Fault::DiskFull => {
                nemesis.site.disk.as_ref().context("no small disk")?.free()?;
                self.proof.push(Proof::count("bytes of ballast", self.count));
                self.proof.push(Proof::count("refused as busy", self.refusals(nemesis.torture)));
            }
            Fault::Storm => {
                let lost = self.lost(nemesis.torture);
                self.proof.push(Proof::holds("connections lost", lost, lost >= nemesis.order.clients as u64));
            }
            Fault::RedisKill | Fault::RedisLose => {
                let lose = self.planned.fault == Fault::RedisLose;
                let redis = nemesis.site.redis()?;
                if lose {
                    redis.forget()?;
                }
                redis.run()?;
                self.proof.push(Proof::changed("run_id", &self.said, &redis.info("server", "run_id")?));
                self.proof.push(Proof::count(if lose { "keys lost" } else { "keys kept" }, self.count));
            }
            Fault::CassandraKill => {
                let before = self.pid.unwrap_or_default().to_string();
                let cassandra = nemesis.site.cassandra()?;
                let after = cassandra.pid().unwrap_or_default().to_string();
                self.proof.push(Proof::changed("process", &before, &after));
                self.proof.push(Proof::count("writes found in its commit log", cassandra.replayed()?));
            }
            Fault::RedisFlush => self.proof.push(Proof::count("keys deleted", self.count)),
            Fault::RedisForgetRoom => {
                let what = format!("keys of room {} deleted", self.said);
                self.proof.push(Proof::count(&what, self.count));
            }
            Fault::RedisSubscribers => self.proof.push(Proof::count("connections cut", self.count)),
            Fault::RedisFull => {
                nemesis.site.redis()?.call(&["CONFIG", "SET", "maxmemory", "0"])?;
                self.proof.push(Proof::count("refused as busy", self.refusals(nemesis.torture)));
            }
            Fault::NetClients | Fault::NetRedis | Fault::NetNodes | Fault::NetCassandra | Fault::NetSlow => {
                self.mend(nemesis)?;
            }
        }
        Ok(())
    }

    /// Makes the network whole, and counts what did not come through.
    fn mend(&mut self, nemesis: &Nemesis<'_>) -> anyhow::Result<()> {
        let now = nemesis.torture.progress();
        self.proof.extend(self.proof_of_network(nemesis.site));
        let holds_answers = Manner::of(&self.planned).is_some_and(Manner::holds_answers);
        match self.planned.fault {
            Fault::NetSlow => {
                self.proof.push(Proof::count("acks meanwhile", self.acks(&now) - self.acks(&self.before)))
            }
            Fault::NetClients if holds_answers => self.count_acks_meanwhile(&now),
            _ => {}
        }
        network::heal(nemesis.site, &self.planned)
    }

    /// Nobody can have heard of an ack.
    fn count_acks_meanwhile(&mut self, now: &Progress) {
        let quiet = self.quiet.as_ref().unwrap_or(now);
        let (acked, earlier) = (self.acks(now) - self.acks(quiet), self.acks(&self.before));
        self.proof.push(Proof::holds("acks by it meanwhile", acked, acked == 0));
        self.proof.push(Proof::count("and before", earlier));
    }

    /// Nothing can have got a place. What had one before may be acknowledged meanwhile, to whoever asks again: nodes know it.
    fn count_places_meanwhile(&mut self, now: &Progress) {
        let quiet = self.quiet.as_ref().unwrap_or(now);
        let placed = now.places - quiet.places;
        self.proof.push(Proof::holds("events placed meanwhile", placed, placed == 0));
        self.proof.push(Proof::count("and before", self.before.places as u64));
    }

    /// Ends standing still, and counts what it kept from happening.
    fn let_go(&mut self, nemesis: &mut Nemesis<'_>) -> anyhow::Result<()> {
        let state = self.state(nemesis.site)?;
        self.proof.push(Proof::holds("state", &state, state == "T"));
        let now = nemesis.torture.progress();
        match self.planned.target {
            Target::Cassandra => self.count_what_is_not_stored(nemesis.site),
            Target::Redis => self.count_places_meanwhile(&now),
            _ => self.count_acks_meanwhile(&now),
        }
        self.stand_still(nemesis.site, Signal::CONT)
    }

    /// Acks by what it is done to, so far.
    fn acks(&self, progress: &Progress) -> u64 {
        match self.planned.target {
            Target::Node(number) => progress.acks_of_node.get(&number).copied().unwrap_or(0),
            _ => progress.acked,
        }
    }

    fn is_acked_since(&mut self, torture: &Torture) -> bool {
        let Some((_, _, then)) = &self.ended else { return false };
        let now = torture.progress();
        let then = match (self.planned.target, &self.reached) {
            (Target::Node(number), None) if self.planned.fault.ends_a_process() => {
                let reached = |progress: &Progress| progress.connections_of_node.get(&number).copied().unwrap_or(0);
                if reached(&now) > reached(then) {
                    self.reached = Some(now);
                }
                return false;
            }
            (_, Some(reached)) => reached,
            (_, None) => then,
        };
        self.acks(&now) > self.acks(then)
    }

    /// Whether another one may begin beside it.
    pub(super) fn allows(&self, next: &Planned) -> bool {
        let (now, next, next_target) = (self.planned.fault, next.fault, next.target);
        let same = next_target == self.planned.target;
        let is = |one: Fault, other: Fault| [(now, next), (next, now)].contains(&(one, other));
        // On a disk that is full no node starts.
        let on_full = [Fault::Kill, Fault::Restart].iter().any(|fault| is(Fault::DiskFull, *fault));
        // A node that starts waits for both.
        let both_roll = is(Fault::Roll, Fault::Roll) && self.recovered.is_none();
        // It has to ask Redis whom it harms.
        let needs_redis = |fault: Fault, target: Target| fault == Fault::NetNodes && target == Target::Redis;
        let no_redis = needs_redis(now, next_target) || needs_redis(next, self.planned.target);
        !(same || on_full || both_roll || no_redis)
    }

    /// Whether what it broke is whole again.
    pub(super) const fn is_whole(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether all that it says is known.
    pub(super) fn is_over(&self, whole_since: Instant) -> bool {
        let given_up = |(ended, ..): &(Instant, u64, Progress)| ended.elapsed() > RECOVERY_GIVEN_UP;
        let given_up = self.ended.as_ref().is_some_and(given_up) && whole_since.elapsed() > RECOVERY_GIVEN_UP;
        self.recovered.is_some() || given_up
    }

    /// What is written down of it.
    pub(super) fn into_deed(mut self, nemesis: &Nemesis<'_>) -> Deed {
        let fault = self.planned.fault;
        if fault.ends_a_process() {
            self.proof.push(Proof::count("connections lost", self.lost(nemesis.torture)));
        }
        let node = if let Target::Node(number) = self.planned.target { Some(number) } else { None };
        let recovered = self.recovered.unwrap_or(RECOVERY_GIVEN_UP);
        Deed {
            op: Op::default(),
            fault: fault.name(),
            target: self.planned.target.told(),
            from_ns: self.from_ns,
            until_ns: self.ended.map_or(self.from_ns, |(_, until, _)| until),
            proof: self.proof,
            node,
            ends: matches!(fault, Fault::Kill),
            loses_redis: matches!(fault, Fault::RedisLose | Fault::RedisFlush | Fault::RedisForgetRoom),
            recovery_ms: Some(recovered.as_secs_f64() * 1e3),
            noticed_within_ms: fault.noticed_within().as_secs_f64() * 1e3,
        }
    }
}

/// Whether a clock that is off by so much was stepped.
const fn is_a_step(off: i64) -> bool {
    (off - CLOCK_STEP).abs() < CLOCK_SLACK
}

fn unstored(metrics: crate::metrics::Metrics) -> f64 {
    metrics.sum("bobchat_unarchived_bytes").unwrap_or(0.0)
}
