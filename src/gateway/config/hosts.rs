//! `authorizers` and `hosts`: several authorizers, each for its hosts.

use alloc::string::String;
use alloc::vec::Vec;

use super::authorizer::AuthorizerConfig;
use super::declare::{Form, Setting, section};
use super::forms::Text;
use super::presets::AuthorizerForm;
use super::reader::{Field, Reader};
#[cfg(test)]
use super::reference;
use crate::gateway::hosts::{HostTable, parse_host};
use crate::text::concat;

section! {
    /// The authorizer of a host.
    pub(super) struct HostConfig {
        /// The name of one of `authorizers`.
        authorizer: Text, required "the name of one of authorizers";
        /// The organization of this host, by `org_id` or name, in place of `authorizer.organizations`: logins request it, and only its tokens and users are accepted. The callback is that of the authorizer, on this host.
        organization: Text;
    }
}

/// Authorizers by name.
pub(super) struct Authorizers;

/// Hosts by name.
pub(super) struct HostMap;

/// A member of an object whose names are the user's choice.
pub(super) struct Member<T> {
    pub(super) name: String,
    pub(super) place: String,
    /// `None` if it is wrong, which has been reported.
    pub(super) value: Option<T>,
}

fn read_members<F: Form>(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    are_authorizers: bool,
) -> Option<Vec<Member<F::Value>>> {
    let section = reader.object(field)?;
    let mut members = Vec::new();
    for (name, member) in section.members() {
        if are_authorizers {
            reader.enter_authorizer(Some(&member.place));
        }
        let value = F::read(reader, &member);
        members.push(Member { name: name.into(), place: member.place, value });
    }
    reader.enter_authorizer(None);
    if members.is_empty() {
        reader.error(&field.place, "must not be empty");
        return None;
    }
    Some(members)
}

impl Form for Authorizers {
    type Value = Vec<Member<AuthorizerConfig>>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Self::Value> {
        read_members::<AuthorizerForm>(reader, field, true)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Named(AuthorizerForm::form().into())
    }
}

impl Form for HostMap {
    type Value = Vec<Member<HostConfig>>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Self::Value> {
        read_members::<HostConfig>(reader, field, false)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Named(HostConfig::form().into())
    }
}

/// A host with an organization.
pub(super) struct Tenant {
    pub(super) host: String,
    pub(super) organization: String,
}

/// An authorizer of the document.
pub(super) struct Named<'c> {
    /// Its place, if there are several.
    pub(super) place: Option<&'c str>,
    pub(super) config: Option<&'c AuthorizerConfig>,
    /// The only host that it is for, if that has an organization.
    pub(super) tenant: Option<Tenant>,
}

/// Returns the authorizers, numbered by position, with the hosts of each. With `authorizer` alone, it is for all hosts.
pub(super) fn check<'c>(
    reader: &mut Reader<'_>,
    single: &Setting<'c, AuthorizerConfig>,
    several: &Setting<'c, Vec<Member<AuthorizerConfig>>>,
    hosts: &Setting<'_, Vec<Member<HostConfig>>>,
) -> (Vec<Named<'c>>, HostTable) {
    let mut table = HostTable::default();
    if several.is_absent() {
        if !hosts.is_absent() {
            reader.error("hosts", "needs authorizers, which it chooses from");
        }
        return (Vec::from([Named { place: None, config: single.value, tenant: None }]), table);
    }
    if !single.is_absent() {
        reader.error("authorizer", "cannot stand beside authorizers");
    }
    if hosts.is_absent() {
        reader.error_missing("hosts", "the authorizer of each host");
    }
    let members = several.items();
    let names: Vec<&str> = members.iter().map(|one| one.name.as_str()).collect();
    let position = |chosen: Option<&String>| chosen.and_then(|chosen| names.iter().position(|one| one == chosen));
    let hosts_of = |at: usize, has_organization: bool| {
        hosts.items().iter().filter_map(|one| one.value.as_ref()).any(|host| {
            position(host.authorizer().value) == Some(at) && host.organization().is_absent() != has_organization
        })
    };
    let mut named: Vec<Named<'c>> = Vec::new();
    let mut numbers: Vec<usize> = Vec::new();
    for (at, one) in members.iter().enumerate() {
        numbers.push(named.len());
        // An authorizer whose hosts all have organizations is for nothing else.
        if hosts_of(at, false) || !hosts_of(at, true) {
            named.push(Named { place: Some(&one.place), config: one.value.as_ref(), tenant: None });
        }
    }
    for Member { name, place, value } in hosts.items() {
        let authorizer = value.as_ref().map(HostConfig::authorizer);
        let chosen = authorizer.as_ref().and_then(|setting| setting.value);
        let at = position(chosen);
        if let (Some(setting), Some(_), None) = (&authorizer, chosen, at)
            && !names.is_empty()
        {
            // The name is not shown: what a placeholder stands for may be secret.
            reader.error(&setting.place(), concat(&["is none of authorizers: ", &names.join(", ")]));
        }
        let Some(host) = parse_host(name) else {
            reader.error(
                place,
                "is not a host: write app.example.com or app.example.com:8443, and international names as xn--…",
            );
            continue;
        };
        let organization = value.as_ref().and_then(|host| host.organization().cloned());
        let number = match (at.and_then(|at| members.get(at)), organization) {
            (Some(one), Some(organization)) => {
                let tenant = Some(Tenant { host: host.clone(), organization });
                named.push(Named { place: Some(&one.place), config: one.value.as_ref(), tenant });
                Some(named.len() - 1)
            }
            _ => at.and_then(|at| numbers.get(at).copied()),
        };
        // A host with a wrong authorizer counts, so that its mistake is one problem.
        if !table.insert(host, number.unwrap_or(usize::MAX)) {
            reader.error(place, "is the same host as another entry");
        }
    }
    if !reader.has_error_inside("hosts") && hosts.value.is_some() {
        for (_, one) in members.iter().enumerate().filter(|(at, _)| !hosts_of(*at, false) && !hosts_of(*at, true)) {
            reader.error(&one.place, "is the authorizer of no host: see hosts");
        }
    }
    (named, table)
}
