//! A line as Claude Code writes it: the fields that are asked for.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::content::Content;
use super::value::{Number, Text, text, whole};
use super::{Answer, CostState, Faulty, MOST, ModelCost, Place, Prompted, Row, Source, time};

/// The largest number of tokens, milliseconds and the like that is believed.
const LARGEST: f64 = 1e10;

/// The largest amount of US dollars that is believed.
const DEAREST: f64 = 1e5;

/// What the model's name is where Claude Code speaks in its place.
const SYNTHETIC: &str = "<synthetic>";

/// A line. Missing fields are empty, here and in all that it contains.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Wire<'a> {
    // To borrow in one field allows all others to borrow, too.
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    timestamp: Option<Text<'a>>,
    session_id: Option<Text<'a>>,
    uuid: Option<Text<'a>>,
    request_session_id: Option<Text<'a>>,
    forked_from: Option<IgnoredAny>,
    cwd: Option<Text<'a>>,
    git_branch: Option<Text<'a>>,
    version: Option<Text<'a>>,
    entrypoint: Option<Text<'a>>,
    is_sidechain: Option<bool>,
    is_meta: Option<bool>,
    is_compact_summary: Option<bool>,
    prompt_id: Option<Text<'a>>,
    message: Option<Message<'a>>,
    request_id: Option<Text<'a>>,
    request_ref: Option<Text<'a>>,
    #[serde(rename = "costUSD")]
    cost_usd: Option<Number>,
    is_api_error_message: Option<bool>,
    api_error_status: Option<Number>,
    attribution_agent: Option<Text<'a>>,
    effort: Option<Text<'a>>,
    permission_decision: Option<Decision<'a>>,
    id: Option<Text<'a>>,
    query_source: Option<Text<'a>>,
    start_time: Option<Number>,
    model_usage: Option<Models<'a>>,
    has_unknown_model_cost: Option<bool>,
    reason: Option<Text<'a>>,
    content: Option<Content<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    model: Option<Text<'a>>,
    usage: Option<Usage<'a>>,
    content: Option<Content<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Usage<'a> {
    input_tokens: Option<Number>,
    output_tokens: Option<Number>,
    cache_read_input_tokens: Option<Number>,
    cache_creation_input_tokens: Option<Number>,
    cache_creation: Option<CacheCreation>,
    #[serde(borrow)]
    speed: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_1h_input_tokens: Option<Number>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Decision<'a> {
    #[serde(borrow)]
    decision: Option<Text<'a>>,
    source: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ModelUsage {
    input_tokens: Option<Number>,
    output_tokens: Option<Number>,
    cache_read_input_tokens: Option<Number>,
    cache_creation_input_tokens: Option<Number>,
    cache_creation_ephemeral1h_input_tokens: Option<Number>,
    #[serde(rename = "costUSD")]
    cost_usd: Option<Number>,
}

impl<'a> Wire<'a> {
    pub(super) fn row(self) -> Result<Option<Row<'a>>, Faulty> {
        Ok(match self.kind.as_ref().ok_or(Faulty)?.0.as_ref() {
            "assistant" => self.answer()?.map(Box::new).map(Row::Answer),
            "user" => Some(Row::Prompted(Box::new(self.prompted()?))),
            "cost-state" => Some(Row::Cost(self.cost()?)),
            "api-request" => {
                let (Some(id), Some(name)) = (self.id, self.query_source) else { return Ok(None) };
                Some(Row::Source(Source { id: id.0, name: name.0 }))
            }
            "queue-operation" => {
                let at = time(&self.timestamp.ok_or(Faulty)?.0)?;
                let is_given = self.reason.is_some_and(|reason| reason.0 == "absorbed_mid_turn");
                let length = self.content.filter(|_| is_given).map(|content| content.length);
                Some(Row::Queued { at, length })
            }
            _ => None,
        })
    }

    fn place(&mut self) -> Result<Place<'a>, Faulty> {
        let at = self.timestamp.take().ok_or(Faulty)?;
        Ok(Place {
            at: time(&at.0)?,
            session: text(self.session_id.take()),
            directory: text(self.cwd.take()),
            branch: text(self.git_branch.take()),
            version: text(self.version.take()),
            entrypoint: text(self.entrypoint.take()),
            is_sidechain: self.is_sidechain == Some(true),
        })
    }

    fn answer(mut self) -> Result<Option<Answer<'a>>, Faulty> {
        let place = self.place()?;
        let message = self.message.ok_or(Faulty)?;
        let model = text(message.model);
        let failed = (self.is_api_error_message == Some(true))
            .then(|| self.api_error_status.map_or(Ok(0), |status| whole(Some(status), 1.0, 999.0)))
            .transpose()?;
        let Some(usage) = message.usage.filter(|_| failed.is_some() || model != SYNTHETIC) else { return Ok(None) };
        let copied_from = self.request_session_id.map(|id| id.0).filter(|id| *id != place.session);
        let tools = message.content.map_or_else(Vec::new, |content| content.tools);
        Ok(Some(Answer {
            copied_from,
            request: text(self.request_id),
            id: text(self.uuid),
            message: text(message.id),
            reference: text(self.request_ref),
            model,
            tokens: usage.tokens()?,
            cost: self.cost_usd.map(|cost| whole(Some(cost), 1e9, DEAREST)).transpose()?,
            failed,
            agent: text(self.attribution_agent),
            effort: text(self.effort),
            speed: text(usage.speed),
            tools,
            place,
        }))
    }

    fn prompted(mut self) -> Result<Prompted<'a>, Faulty> {
        let place = self.place()?;
        let content = self.message.and_then(|message| message.content).unwrap_or_default();
        let is_prompt = self.is_meta != Some(true)
            && self.is_compact_summary != Some(true)
            && content.results.is_empty()
            && content.is_typed
            && !place.is_sidechain;
        let decision =
            self.permission_decision.and_then(|decision| Some((decision.decision?.0, text(decision.source))));
        Ok(Prompted {
            is_copy: self.forked_from.is_some(),
            prompt: text(self.prompt_id),
            length: is_prompt.then_some(content.length),
            results: content.results,
            decision,
            place,
        })
    }

    fn cost(self) -> Result<CostState<'a>, Faulty> {
        let models = self.model_usage.map_or_else(Vec::new, |models| models.0);
        let models = models.into_iter().map(|(model, usage)| Ok((model.0, usage.cost()?)));
        Ok(CostState {
            started: whole(self.start_time, 1.0, 1e14)?,
            is_guessed: self.has_unknown_model_cost == Some(true),
            models: models.collect::<Result<_, _>>()?,
        })
    }
}

impl Usage<'_> {
    fn tokens(&self) -> Result<[i64; 5], Faulty> {
        let hour = self.cache_creation.as_ref().and_then(|creation| creation.ephemeral_1h_input_tokens);
        tokens([
            self.input_tokens,
            self.output_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
            hour,
        ])
    }
}

impl ModelUsage {
    fn cost(&self) -> Result<ModelCost, Faulty> {
        let tokens = tokens([
            self.input_tokens,
            self.output_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
            self.cache_creation_ephemeral1h_input_tokens,
        ])?;
        Ok(ModelCost { tokens, cost: whole(self.cost_usd, 1e9, DEAREST)? })
    }
}

/// What is written for an hour is part of what is written.
fn tokens(numbers: [Option<Number>; 5]) -> Result<[i64; 5], Faulty> {
    let mut tokens = [0; 5];
    for (tokens, number) in tokens.iter_mut().zip(numbers) {
        *tokens = whole(number, 1.0, LARGEST)?;
    }
    tokens[3] = tokens[3].max(tokens[4]);
    Ok(tokens)
}

/// The models of a session's cost.
struct Models<'a>(Vec<(Text<'a>, ModelUsage)>);

impl<'de: 'a, 'a> Deserialize<'de> for Models<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for All<'a> {
            type Value = Models<'a>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("models")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Models<'a>, A::Error> {
                let mut models = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if models.len() < MOST {
                        models.push(entry);
                    }
                }
                Ok(Models(models))
            }
        }
        deserializer.deserialize_map(All(PhantomData))
    }
}
