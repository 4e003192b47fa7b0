//! One measured line: what, how much, beside what, and whether that is good enough.

use serde_json::{Value, json};

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Milliseconds: less is better.
    Milliseconds,
    /// Microseconds: less is better.
    Microseconds,
    /// Calls per second: more is better.
    CallsPerSecond,
    /// Mebibytes: less is better.
    Mebibytes,
    /// Seconds: less is better.
    Seconds,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Microseconds => "µs",
            Self::CallsPerSecond => "calls/s",
            Self::Mebibytes => "MiB",
            Self::Seconds => "s",
        }
    }

    /// A figure with as many places as mean something.
    pub(crate) fn text(self, figure: f64) -> String {
        let places = match self {
            Self::Milliseconds if figure < 10.0 => 3,
            Self::CallsPerSecond => 0,
            Self::Seconds | Self::Mebibytes => 2,
            _ => 1,
        };
        format!("{figure:.places$}")
    }
}

/// Another figure of the same thing.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    /// What was measured: the twin, the floor, fewer mappings.
    pub(crate) what: &'static str,
    /// Its figure.
    pub(crate) figure: f64,
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// At most so many times the figure beside.
    TimesAtMost(f64),
    /// At least so many times the figure beside.
    TimesAtLeast(f64),
    /// At most so much.
    AtMost(f64),
    /// At most so much more than the figure beside.
    MoreAtMost(f64),
}

/// A line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// In what.
    pub(crate) unit: Unit,
    /// The server's figure: a median, where it was measured often.
    pub(crate) figure: f64,
    /// What 95 of 100 stay below, where it was measured often.
    pub(crate) p95: Option<f64>,
    /// What it is compared with.
    pub(crate) beside: Option<Beside>,
    /// What it has to be: all of them.
    pub(crate) goals: Vec<Goal>,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: Unit, figure: f64) -> Self {
        Self { what: what.into(), unit, figure, p95: None, beside: None, goals: Vec::new() }
    }

    pub(crate) fn p95(self, p95: f64) -> Self {
        Self { p95: Some(p95), ..self }
    }

    pub(crate) fn beside(self, what: &'static str, figure: f64) -> Self {
        Self { beside: Some(Beside { what, figure }), ..self }
    }

    pub(crate) fn goal(mut self, goal: Goal) -> Self {
        self.goals.push(goal);
        self
    }

    /// The figure in terms of the one beside.
    pub(crate) fn ratio(&self) -> Option<f64> {
        self.beside.as_ref().map(|beside| self.figure / beside.figure)
    }

    /// Whether all goals are met; none without a goal.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let beside = self.beside.as_ref().map_or(f64::NAN, |beside| beside.figure);
        let met = |goal: &Goal| match goal {
            Goal::TimesAtMost(times) => self.figure <= beside * times,
            Goal::TimesAtLeast(times) => self.figure >= beside * times,
            Goal::AtMost(most) => self.figure <= *most,
            Goal::MoreAtMost(more) => self.figure <= beside + more,
        };
        (!self.goals.is_empty()).then(|| self.goals.iter().all(met))
    }

    /// The goals in words.
    pub(crate) fn goals_text(&self) -> String {
        let text = |goal: &Goal| match goal {
            Goal::TimesAtMost(times) => format!("≤ {times} ×"),
            Goal::TimesAtLeast(times) => format!("≥ {times} ×"),
            Goal::AtMost(most) => format!("≤ {most} {}", self.unit.name()),
            Goal::MoreAtMost(more) => format!("≤ + {more} {}", self.unit.name()),
        };
        self.goals.iter().map(text).collect::<Vec<_>>().join(", ")
    }

    /// The line for machines.
    pub(crate) fn json(&self) -> Value {
        let beside = self.beside.as_ref().map(|beside| json!({ "what": beside.what, "figure": beside.figure }));
        json!({
            "what": self.what, "unit": self.unit.name(), "figure": self.figure, "p95": self.p95, "beside": beside,
            "ratio": self.ratio(), "goal": self.goals_text(), "met": self.is_met(),
        })
    }
}
