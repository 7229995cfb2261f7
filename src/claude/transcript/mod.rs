//! Claude Code's transcripts: one file of JSON lines a session, and one for each of its subagents.
//!
//! They hold everything that was said, of which usage is a hundredth. What is read here is what `row` names; the text of
//! prompts and answers, paths and commands is passed over.

mod find;
mod lines;
mod row;

pub use find::{Found, Skipped, Transcript, find};
pub use lines::Lines;
pub use row::{Answer, CostState, Faulty, ModelCost, Place, Prompted, Row, Source, ToolResult, ToolUse, row};
