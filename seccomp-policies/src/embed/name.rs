//! What roles and slots are called in Rust.

use std::collections::BTreeMap;

use super::prove::Proved;
use crate::language::{Policy, Slot};

/// Every keyword, strict or reserved, that may be a raw identifier. The Rust Reference, "Keywords", edition 2024.
const KEYWORDS: [&str; 48] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Words that no raw identifier can be. The Rust Reference, "Identifiers".
const NEVER: [&str; 5] = ["self", "Self", "super", "crate", "_"];

/// A name of a policy that generated source cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nameless {
    /// A role whose name cannot be that of a module.
    #[error(
        "no module of Rust can have the name of role `{0}`; give the role, and its file, a name of letters, digits and \
         `_` that is not `self`, `Self`, `super` or `crate`"
    )]
    Role(String),
    /// Two roles with one module.
    #[error("roles `{0}` and `{1}` would both be the module `{2}`; give one of them another name")]
    Roles(String, String, String),
    /// A slot whose name cannot be that of a constant.
    #[error(
        "no constant of Rust can have the name of slot `{slot}` of role `{role}`; give it a name of letters, digits and \
         `_`"
    )]
    Slot {
        /// The role.
        role: String,
        /// The slot.
        slot: String,
    },
    /// Two slots with one constant.
    #[error(
        "slots `{first}` and `{second}` of role `{role}` would both be the constant `{constant}`; give one of them \
         another name"
    )]
    Slots {
        /// The role.
        role: String,
        /// One of the slots.
        first: String,
        /// The other.
        second: String,
        /// What both are called.
        constant: String,
    },
}

/// Each policy with the name of its module.
pub(super) fn modules(policies: &[Proved]) -> Result<Vec<(String, &Proved)>, Nameless> {
    let mut named: BTreeMap<String, &str> = BTreeMap::new();
    let mut modules = Vec::new();
    for proved in policies {
        let role = proved.role();
        let module = identifier(role).ok_or_else(|| Nameless::Role(role.to_owned()))?;
        if let Some(other) = named.insert(module.clone(), role) {
            return Err(Nameless::Roles(other.to_owned(), role.to_owned(), module));
        }
        modules.push((module, proved));
    }
    Ok(modules)
}

/// Each slot with the name of its constant.
pub(super) fn constants(policy: &Policy) -> Result<Vec<(String, &Slot)>, Nameless> {
    let role = || policy.role.clone();
    let mut named: BTreeMap<String, &str> = BTreeMap::new();
    let mut constants = Vec::new();
    for slot in &policy.slots {
        let constant = identifier(&slot.name.to_uppercase());
        let constant = constant.ok_or_else(|| Nameless::Slot { role: role(), slot: slot.name.clone() })?;
        if let Some(other) = named.insert(constant.clone(), &slot.name) {
            let (first, second) = (other.to_owned(), slot.name.clone());
            return Err(Nameless::Slots { role: role(), first, second, constant });
        }
        constants.push((constant, slot));
    }
    Ok(constants)
}

/// A name as a Rust identifier; `None` where there is none like it.
fn identifier(name: &str) -> Option<String> {
    let identifier = name.replace(['-', '.'], "_");
    let is_word = identifier.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_word || identifier.starts_with(|c: char| c.is_ascii_digit()) || identifier.is_empty() {
        return None;
    }
    match identifier.as_str() {
        word if NEVER.contains(&word) => None,
        word if KEYWORDS.contains(&word) => Some(format!("r#{word}")),
        _ => Some(identifier),
    }
}
