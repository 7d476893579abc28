//! Policies side by side, for a person.

use seccomp_policies::explain::{Cited, condition_of};
use seccomp_policies::review::{Ability, Review, Role, Row, SharedSlot, Verdict};

use crate::cli::table::{self, Cell};

/// Everything. `compared`: the roles of ringfence, where the review is of another program.
pub(super) fn text(review: &Review, compared: Option<&Review>, reasons: bool) -> String {
    let mut text = calls(review, compared);
    text.push('\n');
    text.push_str(&abilities(review, compared));
    text.push('\n');
    if reasons {
        text.push_str(&examples(review));
        text.push('\n');
    }
    text.push_str(&conditions(review, reasons));
    text.push_str(&slots(review));
    text
}

/// What stands above the columns: the roles, and in the last what several may do together.
fn header<'a>(first: &'a str, review: &'a Review, compared: Option<&Review>) -> Vec<&'a str> {
    let roles = review.roles.iter().map(|role| role.role.as_str());
    let together = (review.roles.len() > 1).then_some("any of them");
    let ours = compared.is_some().then_some("ringfence");
    [first].into_iter().chain(roles).chain(together).chain(ours).collect()
}

fn calls(review: &Review, compared: Option<&Review>) -> String {
    let several = review.roles.len() > 1;
    let ours = |row: &Row| {
        compared.map(|compared| {
            let same = compared.calls.iter().find(|other| other.number == row.number);
            same.map_or(Verdict::Refused, |other| other.together)
        })
    };
    let rows = review.calls.iter().map(|row| {
        let each = row.cells.iter().map(|cell| cell.verdict);
        let verdicts = each.chain(several.then_some(row.together)).chain(ours(row));
        [Cell::from(row.call)]
            .into_iter()
            .chain(verdicts.map(|verdict| Cell::from(verdict.short())))
            .collect()
    });
    table::text(&header("call", review, compared), rows.collect())
}

fn abilities(review: &Review, compared: Option<&Review>) -> String {
    let several = review.roles.len() > 1;
    let ours = |ability: &Ability| {
        let same = compared?.abilities.iter().find(|other| other.ability == ability.ability)?;
        Some(same.together)
    };
    let rows = review.abilities.iter().map(|ability| {
        let each = ability.by.iter().map(Option::is_some);
        let can = each.chain(several.then_some(ability.together)).chain(ours(ability));
        let cells = can.map(|can| Cell::from(if can { "yes" } else { "-" }));
        [Cell::from(ability.ability)].into_iter().chain(cells).collect()
    });
    table::text(&header("can", review, compared), rows.collect())
}

/// By which call each role can do what it can.
fn examples(review: &Review) -> String {
    let rows = review.abilities.iter().flat_map(|ability| {
        let each = ability.by.iter().zip(&review.roles);
        each.filter_map(|(by, role)| {
            let by = by.as_deref()?;
            Some(vec![Cell::from(ability.ability), Cell::from(role.role.as_str()), Cell::from(by)])
        })
    });
    table::text(&["can", "role", "for example by"], rows.collect())
}

/// Under which conditions calls are let through, call by call; what several roles may do alike stands there once.
fn conditions(review: &Review, reasons: bool) -> String {
    let mut rows = Vec::new();
    for row in &review.calls {
        let mut alike: Vec<(&Cited, Vec<&str>)> = Vec::new();
        for (cell, Role { role, .. }) in row.cells.iter().zip(&review.roles) {
            if cell.verdict == Verdict::Conditional || reasons {
                for rule in &cell.rules {
                    match alike.iter_mut().find(|(known, _)| *known == rule) {
                        Some((_, roles)) => roles.push(role),
                        None => alike.push((rule, vec![role])),
                    }
                }
            }
        }
        let mut call = row.call;
        for (rule, roles) in alike {
            let condition = condition_of(&rule.rule);
            let text = if reasons {
                format!("{condition}\n-- {} ({})", rule.reason, rule.place)
            } else {
                condition.to_owned()
            };
            rows.push(vec![Cell::from(call), Cell::from(roles.join(", ")), Cell::from(text)]);
            call = "";
        }
    }
    if rows.is_empty() { String::new() } else { table::text(&["call", "role", "where"], rows) + "\n" }
}

fn slots(review: &Review) -> String {
    let rows: Vec<Vec<Cell>> = review
        .slots()
        .into_iter()
        .map(|SharedSlot { roles, slot }| {
            vec![
                Cell::from(roles.join(", ")),
                Cell::from(slot.name.as_str()),
                Cell::from(slot.numbers()),
                Cell::from(slot.reason.as_str()),
            ]
        })
        .collect();
    if rows.is_empty() {
        String::new()
    } else {
        table::text(&["role", "descriptor", "number", "what lies there"], rows)
    }
}
