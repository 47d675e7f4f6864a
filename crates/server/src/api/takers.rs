//! Who takes a request: the model that was asked for, or the members of an alias that can, in the
//! order in which they are asked.

use super::{envelope::ApiError, offers::Offer, state::App};
use pixel_core::{
    capability,
    catalog::{Alias, Model},
    fallback::{Candidate, Fallback},
    request::{Ask, Checked, Input, Warning},
    task::Work,
};

pub struct Takers<'a> {
    app: &'a App,
    alias: Option<&'a Alias>,
    /// The sandbox answers, whoever is asked.
    pub sandbox: bool,
    /// Never empty; in the order of the alias.
    list: Vec<Taker<'a>>,
    /// About members that cannot take the request.
    left_out: Vec<Warning>,
}

struct Taker<'a> {
    /// Its place in the alias.
    at: usize,
    card: &'a Model,
    vendor: &'a str,
    checked: Checked,
    warnings: Vec<Warning>,
}

/// A request as it goes into a task.
pub struct Planned {
    /// The model behind the alias.
    pub served_by: Option<String>,
    pub first: Candidate,
    pub fallback: Option<Fallback>,
    pub work: Work,
}

impl App {
    /// Checks a request against its model, or against every member of its alias.
    pub fn takers<'a>(&'a self, card: &'a Model, ask: Ask) -> Result<Takers<'a>, ApiError> {
        let offer = self.offer(card);
        let Some(alias) = self.alias_of(card) else {
            let (checked, warnings) = capability::check(ask, card, offer.sandbox)?;
            let Offer { vendor, sandbox, disabled } = offer;
            let list = vec![Taker { at: 0, card, vendor, checked, warnings }];
            let takers = Takers { app: self, alias: None, sandbox, list, left_out: Vec::new() };
            return disabled.map_or(Ok(takers), |why| Err(ApiError::unavailable(why)));
        };
        if let Some(why) = offer.disabled {
            return Err(ApiError::unavailable(why));
        }
        let mut takers =
            Takers { app: self, alias: Some(alias), sandbox: offer.sandbox, list: Vec::new(), left_out: Vec::new() };
        let mut refusal = None;
        for (at, (id, card)) in self.members(alias).enumerate() {
            let Offer { vendor, sandbox, disabled: None } = self.offer(card) else { continue };
            match capability::check(Ask { model: id.clone(), ..ask.clone() }, card, sandbox) {
                Ok((checked, warnings)) => takers.list.push(Taker { at, card, vendor, checked, warnings }),
                Err(why) => {
                    takers.left_out.push(left_out(card, &why.message));
                    refusal.get_or_insert(why);
                }
            }
        }
        match refusal.filter(|_| takers.list.is_empty()) {
            Some(why) => Err(why.into()),
            None => Ok(takers),
        }
    }
}

fn left_out(card: &Model, why: &str) -> Warning {
    Warning::new("model", format!("'{}' was left out: {why}", card.id()))
}

impl Takers<'_> {
    /// Lets `store` put the addresses of stored inputs into the request, whoever takes it.
    pub fn inputs(&mut self) -> Vec<Input> {
        self.list.first().map(|taker| taker.checked.inputs.clone()).unwrap_or_default()
    }

    pub fn set_inputs(&mut self, inputs: &[Input]) {
        self.list.iter_mut().for_each(|taker| taker.checked.inputs = inputs.to_vec());
    }

    /// What the request becomes; `roll`, any number, decides between equals.
    pub fn plan(mut self, roll: u64) -> Result<Planned, ApiError> {
        let mut refusal = None;
        let mut able = Vec::new();
        for taker in std::mem::take(&mut self.list) {
            let (at, card) = (taker.at, taker.card);
            match self.candidate(taker) {
                Ok(candidate) => able.push((at, candidate)),
                Err(why) => {
                    self.left_out.push(left_out(card, &why.message));
                    refusal.get_or_insert(why);
                }
            }
        }
        let places: Vec<usize> = able.iter().map(|(at, _)| *at).collect();
        let sequence = self.alias.map_or_else(|| places.clone(), |alias| alias.sequence(&places, roll));
        able.sort_by_key(|(at, _)| sequence.iter().position(|place| place == at));
        let mut all = able.into_iter().map(|(_, candidate)| candidate);
        let Some(first) = all.next() else {
            return Err(refusal.unwrap_or_else(|| ApiError::unavailable("The vendor is not set up.")));
        };
        let work = first.work(&Work::default(), &self.left_out);
        let fallback = self.alias.map(|alias| Fallback {
            on: alias.fallback.clone(),
            passed: 0,
            warnings: self.left_out,
            next: all.collect(),
        });
        let served_by = self.alias.map(|_| first.model.clone());
        Ok(Planned {
            served_by,
            first,
            fallback: fallback.filter(|fallback| !fallback.next.is_empty() && !fallback.on.is_empty()),
            work,
        })
    }

    fn candidate(&self, taker: Taker<'_>) -> Result<Candidate, ApiError> {
        let Taker { card, vendor, checked, mut warnings, .. } = taker;
        let lane = self.app.engine.lane(vendor).ok_or_else(|| ApiError::unavailable("The vendor is not set up."))?;
        let plan = lane.plan(&checked, card).map_err(|error| ApiError::bad(error.message))?;
        warnings.extend(plan.warnings);
        if self.sandbox && card.provider != pixel_vendors::SANDBOX {
            let message =
                format!("The sandbox answered in place of '{}': the result is a sample and cost nothing.", card.id());
            warnings.push(Warning::new("model", message));
        }
        let (vendor, cost) = (vendor.to_owned(), plan.cost.filter(|_| !self.sandbox));
        Ok(Candidate { vendor, model: card.id(), request: checked, slots: plan.slots, warnings, cost })
    }
}
