//! The people of the team, and its automation.

use super::dice::Dice;

/// Someone, or automation.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) team: &'static str,
    /// The directory of the person's projects.
    pub(super) home: &'static str,
    /// A machine's id.
    pub(super) machine: &'static str,
    pub(super) repositories: &'static [&'static str],
    pub(super) models: &'static [&'static str],
    pub(super) version: &'static str,
    /// Usual sessions of a working day, in tenths.
    busy: i64,
    /// The hour at which the day begins, UTC.
    from: i64,
    /// The first and the last week, of eight.
    weeks: (i64, i64),
    /// Weeks away.
    away: &'static [i64],
    /// The last working day of the week, 5 for Friday.
    last_day: i64,
    /// The chance of a session on a day of the weekend, in percent.
    pub(super) weekend: i64,
    /// The chance that a request or a tool fails, in percent.
    pub(super) trouble: i64,
    /// The chance that an edit is asked about, in percent.
    pub(super) asked: i64,
    /// The chance that an edit that is asked about is accepted, in percent.
    pub(super) accepts: i64,
    /// The usual share of what is sent that comes from the cache, in percent.
    pub(super) cached: i64,
    pub(super) is_automation: bool,
}

const OPUS: &str = "claude-opus-5-5";
const SONNET: &str = "claude-sonnet-5";
const HAIKU: &str = "claude-haiku-5";

/// A developer without peculiarities.
const USUAL: Person = Person {
    name: "",
    team: "platform",
    home: "",
    machine: "",
    repositories: &["api", "infra"],
    models: &[OPUS, OPUS, SONNET],
    version: "2.1.332",
    busy: 24,
    from: 8,
    weeks: (0, 7),
    away: &[],
    last_day: 5,
    weekend: 1,
    trouble: 1,
    asked: 35,
    accepts: 88,
    cached: 93,
    is_automation: false,
};

const WEB: &[&str] = &["web", "design-system"];
const DATA: &[&str] = &["pipeline", "reports", "api"];

macro_rules! person {
    ($name:literal, $machine:literal, $($field:ident: $value:expr),*) => {
        Person {
            name: concat!($name, "@example.org"),
            home: concat!("/home/", $name),
            machine: $machine,
            $($field: $value,)*
            ..USUAL
        }
    };
}

/// The twelve.
pub(super) const PEOPLE: [Person; 12] = [
    person!("ada", "0a4c51e09b7d2f31", busy: 45, models: &[OPUS], asked: 15),
    person!("ben", "1b8e02f7c5a96d40", weekend: 30, busy: 30),
    person!("cleo", "2c93d7a4410be85f", busy: 18, accepts: 74),
    person!("dev", "3d07b6e8fa21c594", from: 6, version: "2.1.329"),
    person!("emil", "4e5fa1c2d8037b96", team: "web", repositories: WEB, busy: 28),
    person!("fay", "5f6210be94d7ac38", team: "web", repositories: WEB, last_day: 3, busy: 20),
    person!("gus", "60d8c37fe2a1954b", team: "web", repositories: WEB, trouble: 9, busy: 22),
    person!("hana", "71ea94058bd62fc3", team: "web", repositories: WEB, away: &[2, 3], models: &[SONNET], cached: 88),
    person!("ivo", "82f5b01d6ce9374a", team: "data", repositories: DATA, busy: 12, cached: 61),
    person!("june", "9306ce8ad471b5f2", team: "data", repositories: DATA, weeks: (7, 7), busy: 26, asked: 70),
    person!("kim", "a417df9b5e820c63", team: "data", repositories: DATA, away: &[5], models: &[SONNET, HAIKU]),
    person!("lars", "b528e0ac6f931d74", team: "data", repositories: DATA, weeks: (0, 6), version: "2.1.318"),
];

/// What reviews each night's changes.
pub(super) const AUTOMATION: Person = Person {
    name: "ci@example.org",
    team: "platform",
    home: "/srv/ci",
    machine: "c639f1bd70a42e85",
    repositories: &["api", "web"],
    models: &[SONNET],
    busy: 40,
    from: 2,
    trouble: 3,
    asked: 0,
    is_automation: true,
    ..USUAL
};

impl Person {
    /// How many sessions begin on a day, counted from the first Monday.
    pub(super) fn sessions(&self, day: i64, dice: &mut Dice) -> i64 {
        let (week, weekday) = (day / 7, day % 7 + 1);
        let is_there = (self.weeks.0..=self.weeks.1).contains(&week) && !self.away.contains(&week);
        let tenths = if weekday > 5 {
            if dice.chance(self.weekend) { 10 } else { 0 }
        } else if weekday > self.last_day || dice.chance(6) {
            // Some days are for other things.
            0
        } else {
            dice.around(self.busy)
        };
        if is_there { tenths / 10 + i64::from(dice.from(0, 9) < tenths % 10) } else { 0 }
    }

    /// When a session begins: hour and minute.
    pub(super) fn start(&self, dice: &mut Dice) -> (i8, i8) {
        let hours = if self.is_automation { 1 } else { 8 };
        let hour = self.from + dice.from(0, hours);
        (i8::try_from(hour).unwrap_or(12), i8::try_from(dice.from(0, 59)).unwrap_or(0))
    }
}
