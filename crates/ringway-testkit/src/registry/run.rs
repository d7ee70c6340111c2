//! Holds a registry to the table.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use ringway_core::message::{RegistryAnswer, RegistryOp, RegistryRequest};
use ringway_core::ring::HashKey;
use ringway_core::view::{GatewayEntry, Removal, View};
use ringway_core::{Epoch, MemberId};

use super::subject::{Asked, MEMBERS, Subject};
use super::table::{BEHAVIOURS, Behaviour, Op, Says, Step, Write};

/// Holds a registry to every row, all at once, each with a subject of its own. Answers how many rows it was held to.
///
/// # Panics
/// At the first step that goes otherwise, with the row and the step.
pub async fn conform<S: Subject>(mut begin: impl AsyncFnMut() -> S) -> usize {
    let mut runs = Vec::new();
    for behaviour in BEHAVIOURS {
        let mut subject = begin().await;
        let restarts = behaviour.steps.iter().any(|step| matches!(step, Step::Restart));
        if restarts && !subject.restart().await {
            continue;
        }
        runs.push(Run { subject, behaviour, at: 0, next: 0, known: BTreeMap::new(), written: Epoch(0) }.all());
    }
    join_all(runs).await.len()
}

struct Run<S> {
    subject: S,
    behaviour: &'static Behaviour,
    at: usize,
    next: u64,
    /// The view that each member was told last.
    known: BTreeMap<u8, Arc<View>>,
    /// The newest epoch that somebody was told to have written.
    written: Epoch,
}

impl<S: Subject> Run<S> {
    async fn all(mut self) {
        for member in MEMBERS {
            self.ask(member, RegistryOp::Read).await;
        }
        for (at, step) in self.behaviour.steps.iter().enumerate() {
            self.at = at;
            match *step {
                Step::Ask(by, op, says) => self.step(by, op, says).await,
                Step::Race(members) => self.race(members).await,
                Step::Pass(tenths) => self.subject.pass(self.subject.ttl() * tenths / 10).await,
                Step::Restart => assert!(self.subject.restart().await, "{}: it did not start again", self.here()),
            }
        }
    }

    fn here(&self) -> String {
        format!("{} (step {}: {:?})", self.behaviour.name, self.at + 1, self.behaviour.steps[self.at])
    }

    async fn step(&mut self, by: u8, op: Op, says: Says) {
        let op = match op {
            Op::Put(member) => RegistryOp::Put(self.subject.life(member)),
            Op::Renew(member) => RegistryOp::Renew(self.subject.life(member)),
            Op::Write(write) => RegistryOp::Cas(Arc::new(self.draft(by, write))),
            Op::Leases => RegistryOp::Leases,
            Op::Read => RegistryOp::Read,
        };
        let answer = self.ask(by, op).await;
        match says {
            Says::Done => assert!(answer.done, "{}: it was not done", self.here()),
            Says::Refused => assert!(!answer.done, "{}: it was done", self.here()),
            Says::Lapsed(expected) => self.check_lapsed(&answer, expected),
            Says::Lists(expected) => self.check_listed(&answer.view, expected),
        }
    }

    /// All know the same view before.
    async fn race(&mut self, members: &'static [u8]) {
        for member in members {
            self.ask(*member, RegistryOp::Read).await;
        }
        let missing = |run: &Self, member: u8| !run.known[&member].has(run.subject.life(member));
        let draft = |run: &Self, member| {
            let write = if missing(run, member) { Write::With(member) } else { Write::Without(member) };
            RegistryOp::Cas(Arc::new(run.draft(member, write)))
        };
        let asked: Vec<_> = members.iter().map(|member| (*member, draft(self, *member))).collect();
        let answers = self.ask_all(asked).await;
        let done = answers.iter().filter(|answer| answer.done).count();
        assert_eq!(done, 1, "{}: so many have written the same epoch", self.here());
    }

    async fn ask(&mut self, by: u8, op: RegistryOp) -> RegistryAnswer {
        self.ask_all(vec![(by, op)]).await.remove(0)
    }

    async fn ask_all(&mut self, asked: Vec<(u8, RegistryOp)>) -> Vec<RegistryAnswer> {
        let (subject, next) = (&self.subject, &mut self.next);
        let mut request = |(by, op): &(u8, RegistryOp)| {
            *next += 1;
            Asked { from: subject.life(*by), request: RegistryRequest { id: *next, op: op.clone() } }
        };
        let requests: Vec<Asked> = asked.iter().map(&mut request).collect();
        let answers = self.subject.ask(requests.clone()).await;
        assert_eq!(answers.len(), requests.len(), "{}: a subject answers in order", self.here());
        let mut checked = Vec::new();
        for (((by, _), asked), answer) in asked.iter().zip(&requests).zip(answers) {
            let Some(answer) = answer else { panic!("{}: no answer", self.here()) };
            self.check(*by, &asked.request, &answer);
            checked.push(answer);
        }
        checked
    }

    /// What holds for every answer.
    fn check(&mut self, by: u8, request: &RegistryRequest, answer: &RegistryAnswer) {
        let here = self.here();
        assert_eq!(answer.id, request.id, "{here}: an answer has its request's number");
        let known = self.known.get(&by).map_or(Epoch(0), |view| view.epoch);
        assert!(answer.view.epoch >= known, "{here}: an answer goes back to {}", answer.view.epoch);
        match &request.op {
            RegistryOp::Cas(draft) if answer.done => {
                assert!(answer.view.epoch >= draft.epoch, "{here}: done, and the view is older");
                self.written = self.written.max(draft.epoch);
            }
            RegistryOp::Cas(_) | RegistryOp::Read => {
                assert!(answer.view.epoch >= self.written, "{here}: the view is older than one that was written");
            }
            RegistryOp::Put(_) | RegistryOp::Renew(_) | RegistryOp::Leases => {}
        }
        assert!(answer.view.check().is_ok(), "{here}: {:?} cannot be a view", answer.view);
        self.known.insert(by, answer.view.clone());
    }

    fn check_lapsed(&self, answer: &RegistryAnswer, expected: &[u8]) {
        for member in MEMBERS {
            let life = self.subject.life(member);
            let (is_told, is_gone) = (answer.lapsed.contains(&life), !answer.view.has(life));
            let fits = if expected.contains(&member) { is_told || is_gone } else { !is_told };
            assert!(fits, "{}: {member} is told to have lapsed: {is_told}", self.here());
        }
    }

    fn check_listed(&self, view: &View, expected: &[u8]) {
        let listed: Vec<u8> = MEMBERS.into_iter().filter(|member| view.has(self.subject.life(*member))).collect();
        assert_eq!(listed, expected, "{}: the view lists these", self.here());
    }

    /// Members are gateways here: of those a view takes any number, and no slot moves.
    fn draft(&self, by: u8, write: Write) -> View {
        let known = &self.known[&by];
        let entry = |member: u8| GatewayEntry {
            id: MemberId::new(&format!("member-{member}")).expect("a short name of letters"),
            incarnation: self.subject.life(member),
            address: self.subject.address(member),
            link: self.subject.address(member),
            draining: false,
        };
        let next = known.affirmed();
        match write {
            Write::With(member) => known.with_gateway(entry(member)),
            Write::Without(member) => known.without(self.subject.life(member), Removal::Planned),
            Write::Affirmed => next,
            Write::Skipping => next.affirmed(),
            Write::Foreign => View { key: HashKey::from_bytes([0xEE; 16]), ..next },
            Write::Doubled => View { gateways: vec![entry(by), entry(by)], ..next },
        }
    }
}
