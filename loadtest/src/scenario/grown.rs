//! A scenario with more or fewer users than it was written for, and its parts.

use super::{Growing, Scenario};

impl Scenario {
    /// The same with `users`, as near as rooms allow; rates in proportion, where they grow.
    pub(crate) fn with_users(&self, users: usize) -> Self {
        let mut grown = self.clone();
        match self.grow.what {
            Growing::Rooms => grown.rooms = (users as f64 / self.members as f64).round().max(1.0) as usize,
            Growing::Members => {
                let least = self.slow.map_or(1, |slow| slow.members + 1).max(self.senders.unwrap_or(1));
                grown.members = (users as f64 / self.rooms as f64).round().max(least as f64) as usize;
            }
        }
        // Who receives is a part of the room, who posts is so many.
        if let Some(receivers) = &mut grown.receivers {
            *receivers = (*receivers * grown.members / self.members.max(1)).clamp(1, grown.members);
        }
        if self.grow.rates {
            grown.scale_rates(grown.users() as f64 / self.users() as f64);
        }
        grown
    }

    /// The part of one of several processes: whole rooms, and the rates that belong to them.
    pub(crate) fn part(&self, number: usize, of: usize) -> Self {
        let mut part = self.clone();
        part.rooms = self.rooms / of + usize::from(number < self.rooms % of);
        part.scale_rates(part.rooms as f64 / self.rooms as f64);
        part
    }

    fn scale_rates(&mut self, factor: f64) {
        let rates = [
            self.connect.as_mut().and_then(|connect| connect.per_second.as_mut()),
            self.send.as_mut().map(|send| &mut send.per_second),
            self.history.as_mut().map(|history| &mut history.per_second),
            self.typing.as_mut().map(|typing| &mut typing.per_second),
            self.reconnect.as_mut().map(|reconnect| &mut reconnect.per_second),
        ];
        for rate in rates.into_iter().flatten() {
            *rate *= factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::find;

    #[test]
    fn more_users_make_more_rooms_or_larger_ones_and_rates_follow_where_they_shall() {
        let mix = find("mix", &[]).unwrap().with_users(1_000);
        assert_eq!((mix.rooms, mix.members), (100, 10));
        assert!((mix.send.unwrap().per_second - 20.0).abs() < 1e-9);
        let broadcast = find("broadcast", &[]).unwrap().with_users(20_000);
        assert_eq!((broadcast.rooms, broadcast.members, broadcast.senders), (1, 20_000, Some(1)));
        assert!((broadcast.send.unwrap().per_second - 2.0).abs() < 1e-9);
    }

    #[test]
    fn the_parts_are_the_whole() {
        let whole = find("mix", &[]).unwrap();
        let parts: Vec<_> = (0..3).map(|number| whole.part(number, 3)).collect();
        assert_eq!(parts.iter().map(|part| part.rooms).sum::<usize>(), whole.rooms);
        let rate: f64 = parts.iter().map(|part| part.history.unwrap().per_second).sum();
        assert!((rate - whole.history.unwrap().per_second).abs() < 1e-9);
    }
}
