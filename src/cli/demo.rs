//! Fills a running server with rooms and a lively conversation, through its public API alone.
//!
//! The same seed gives the same conversation. With `--live` it goes on in real time until it is stopped.

mod person;
mod random;
mod script;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use bobchat_proto::wire;
use clap::Args;
use serde_json::json;

use super::CommandError;
use super::client::{Client, ClientError};
use crate::config::Config;
use person::Person;
use random::Random;
use script::{CAST, Line, SCENES, Scene};

/// The first fill has this many messages a second at most in one room: faster and the limits answer.
const FILL_PAUSE: Duration = Duration::from_millis(60);

/// How `demo` is called.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The server; without it the one of this configuration
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A PEM file with the authorities that sign the certificate of an https:// server; those that this machine trusts
    /// without it
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How many rooms, 1 to 6
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=6))]
    rooms: u64,
    /// How many messages in all
    #[arg(long, default_value_t = 120)]
    messages: u64,
    /// The same seed gives the same conversation
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Goes on talking afterwards, until it is stopped
    #[arg(long)]
    live: bool,
}

/// A room in which people talk, and where they are in what they say.
struct Stage {
    id: u64,
    scene: &'static Scene,
    /// What is to be said next, last first.
    ahead: Vec<&'static Line>,
    /// Who plays whom in the present dialogue.
    roles: Vec<usize>,
    said: u64,
}

pub(super) fn demo(config: &Config, options: &Options) -> Result<(), CommandError> {
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let url = options.url.clone().unwrap_or_else(|| format!("{scheme}://{}", config.server.listen));
    let server = Client::trusting(url, options.ca.as_deref()).map_err(CommandError::failed)?;
    let mut random = Random::new(options.seed);
    let mut cast = Vec::new();
    for name in CAST {
        cast.push(Person::sign_up(&server, name).map_err(CommandError::failed)?);
    }
    let rooms = usize::try_from(options.rooms).unwrap_or(SCENES.len());
    let mut stages = Vec::new();
    for scene in SCENES.iter().take(rooms) {
        stages.push(open_room(scene, &mut cast).map_err(CommandError::failed)?);
    }
    for _ in 0..options.messages {
        speak(&mut stages, &mut cast, &mut random, options.seed).map_err(CommandError::failed)?;
        std::thread::sleep(FILL_PAUSE / u32::try_from(stages.len()).unwrap_or(1));
    }
    let said = format!("{} people said {} things in {} rooms", cast.len(), options.messages, stages.len());
    writeln!(io::stdout(), "{said}")?;
    if options.live {
        writeln!(io::stdout(), "and they go on; press Ctrl-C to end it")?;
        live(&mut stages, &mut cast, &mut random, options.seed)?;
    }
    Ok(())
}

/// Talks at the pace of people. Outages are waited out: a demonstration may show a restart.
fn live(stages: &mut [Stage], cast: &mut [Person], random: &mut Random, seed: u64) -> Result<(), CommandError> {
    loop {
        std::thread::sleep(Duration::from_millis(800 + random.below(2_500)));
        match speak_slowly(stages, cast, random, seed) {
            Ok(()) => {}
            Err(ClientError::Refused { status, .. }) if status >= 500 => {}
            Err(ClientError::Nobody(_) | ClientError::Broken { .. }) => std::thread::sleep(Duration::from_secs(2)),
            Err(error) => return Err(CommandError::failed(error)),
        }
    }
}

/// Makes the room of a scene, or joins the one that an earlier demonstration made; everybody comes in.
fn open_room(scene: &'static Scene, cast: &mut [Person]) -> Result<Stage, ClientError> {
    let id = match cast.first_mut() {
        None => 0,
        Some(host) => match find_room(scene, host)? {
            Some(id) => id,
            None => make_room(scene, host)?,
        },
    };
    for person in cast {
        person.post::<wire::RoomJoinOk>(&format!("/api/v1/rooms/{id}/join"), &[], &json!({}))?;
    }
    Ok(Stage { id, scene, ahead: Vec::new(), roles: Vec::new(), said: 0 })
}

fn find_room(scene: &Scene, host: &mut Person) -> Result<Option<u64>, ClientError> {
    let found: wire::RoomSearchOk = host.get(&format!("/api/v1/rooms/search?query={}", scene.room))?;
    let is_it = |room: &wire::Room| room.settings.as_ref().is_some_and(|settings| settings.name == scene.room);
    Ok(found.rooms.into_iter().find(is_it).map(|room| room.id))
}

fn make_room(scene: &Scene, host: &mut Person) -> Result<u64, ClientError> {
    let key = format!("demo-{}", scene.room);
    let body = json!({"name": scene.room, "topic": scene.topic});
    let made: wire::RoomCreateOk = host.post("/api/v1/rooms", &[("idempotency-key", &key)], &body)?;
    Ok(made.room.map_or(0, |room| room.id))
}

/// Says the next line somewhere.
fn speak(stages: &mut [Stage], cast: &mut [Person], random: &mut Random, seed: u64) -> Result<(), ClientError> {
    let Some(stage) = random.pick_mut(stages) else { return Ok(()) };
    stage.next(random, seed).map_or(Ok(()), |(who, key, text)| say(cast, stage.id, who, &key, &text))
}

/// As [`speak`], with a while of typing before.
fn speak_slowly(stages: &mut [Stage], cast: &mut [Person], random: &mut Random, seed: u64) -> Result<(), ClientError> {
    let Some(stage) = random.pick_mut(stages) else { return Ok(()) };
    let Some((who, key, text)) = stage.next(random, seed) else { return Ok(()) };
    if let Some(person) = cast.get_mut(who) {
        person.post::<wire::TypingOk>(&format!("/api/v1/rooms/{}/typing", stage.id), &[], &json!({}))?;
    }
    let typing = 400 + 25 * text.chars().count() as u64;
    std::thread::sleep(Duration::from_millis(typing.min(3_000)));
    say(cast, stage.id, who, &key, &text)
}

fn say(cast: &mut [Person], room: u64, who: usize, key: &str, text: &str) -> Result<(), ClientError> {
    let Some(person) = cast.get_mut(who) else { return Ok(()) };
    let path = format!("/api/v1/rooms/{room}/messages");
    person.post::<wire::MessageSendOk>(&path, &[("idempotency-key", key)], &json!({ "text": text })).map(drop)
}

impl Stage {
    /// Who says what next, and under which key.
    fn next(&mut self, random: &mut Random, seed: u64) -> Option<(usize, String, String)> {
        if self.ahead.is_empty() {
            let dialogue = random.pick(self.scene.dialogues)?;
            self.ahead = dialogue.iter().rev().collect();
            self.roles = random.shuffled(CAST.len());
        }
        let line = self.ahead.pop()?;
        let who = *self.roles.get(line.role)?;
        self.said += 1;
        Some((who, format!("demo-{seed}-{}-{}", self.id, self.said), self.spoken(line.text)))
    }

    /// Puts the names of those who are talked to into a line: `{0}` is who plays the first role.
    fn spoken(&self, text: &str) -> String {
        let mut spoken = text.to_owned();
        for (role, who) in self.roles.iter().enumerate() {
            let first_name = CAST.get(*who).and_then(|name| name.split(' ').next()).unwrap_or_default();
            spoken = spoken.replace(&format!("{{{role}}}"), first_name);
        }
        spoken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(seed: u64) -> Vec<(usize, String, String)> {
        let mut random = Random::new(seed);
        let scene = &SCENES[0];
        let mut stage = Stage { id: 7, scene, ahead: Vec::new(), roles: Vec::new(), said: 0 };
        (0..100).filter_map(|_| stage.next(&mut random, seed)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_conversation() {
        assert_eq!(conversation(7), conversation(7));
        assert_ne!(conversation(7), conversation(8));
        assert_eq!(conversation(7).len(), 100);
    }

    #[test]
    fn every_line_can_be_said_by_somebody() {
        for scene in SCENES {
            for line in scene.dialogues.iter().copied().flatten() {
                assert!(line.role < CAST.len(), "{}", line.text);
                let stage = Stage { id: 1, scene, ahead: Vec::new(), roles: (0..CAST.len()).collect(), said: 0 };
                assert!(!stage.spoken(line.text).contains('{'), "{}", line.text);
            }
        }
    }
}
