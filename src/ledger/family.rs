//! The families of sums, separated by subject and by source.

/// A family of sums, each with its own table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Amounts from events, by model; the name is zero without a model.
    Model,
    /// The tool calls and edits among them, by tool.
    Tool,
    /// All amounts from events, by prompt and model.
    Prompt,
    /// Amounts that only metrics count, by model.
    Counter,
    /// Amounts in metrics that events report too, by model.
    Twin,
    /// Amounts in metrics that events report too, by tool.
    ToolTwin,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 6] = [Self::Model, Self::Tool, Self::Prompt, Self::Counter, Self::Twin, Self::ToolTwin];

    /// The families that are a cache of the facts.
    pub(super) const OF_EVENTS: [Self; 3] = [Self::Model, Self::Tool, Self::Prompt];

    /// The families that are not stored elsewhere.
    pub(super) const OF_METRICS: [Self; 3] = [Self::Counter, Self::Twin, Self::ToolTwin];

    /// The family's table in the ledger.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Model => "sum",
            Self::Tool => "tool_sum",
            Self::Prompt => "prompt_sum",
            Self::Counter => "counter",
            Self::Twin => "twin",
            Self::ToolTwin => "tool_twin",
        }
    }

    /// Whether its amounts come from metrics.
    pub const fn is_of_metrics(self) -> bool {
        matches!(self, Self::Counter | Self::Twin | Self::ToolTwin)
    }

    /// Whether its names are tools.
    pub(super) const fn is_of_tools(self) -> bool {
        matches!(self, Self::Tool | Self::ToolTwin)
    }
}
