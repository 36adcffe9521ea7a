use std::collections::BTreeSet;

use super::finding::Finding;
use crate::adapters::cassandra::{CassandraFacts, CassandraStore, OpenError, Owner};
use crate::config::{Cassandra, Cluster};
use crate::startup::options;

/// The version that the tests run on.
const TESTED: &str = "5.0.";

/// Looks at the Cassandra that is configured.
pub(super) async fn look(cluster: &Cluster) -> Result<CassandraFacts, OpenError> {
    CassandraStore::inspect(&options::cassandra(cluster)).await
}

/// Says what is good and what is not.
pub(super) fn judge(looked: &Result<CassandraFacts, OpenError>, cluster: &Cluster) -> Vec<Finding> {
    match looked {
        Ok(facts) => judge_facts(facts, cluster),
        Err(error) => {
            let advice = match error {
                OpenError::Certificates(_) => {
                    "cassandra.certificates names a PEM file with authorities, client_certificate and client_key one each of this node"
                }
                _ => {
                    "is it running, are cassandra.nodes, cassandra.username and cassandra.password right, and does \
                     cassandra.certificates hold the authority of its certificates if it encrypts"
                }
            };
            vec![Finding::bad(format!("Cassandra: {}", with_causes(error)), advice)]
        }
    }
}

/// What went wrong, and why.
fn with_causes(error: &OpenError) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn judge_facts(facts: &CassandraFacts, cluster: &Cluster) -> Vec<Finding> {
    let configured = &cluster.cassandra;
    let mut findings = vec![judge_nodes(facts)];
    if !facts.version.starts_with(TESTED) {
        let what = format!("Cassandra: version {}", facts.version);
        findings.push(Finding::warning(what, "the tests run on 5.0; others are untried"));
    }
    findings.extend(judge_datacenter(facts, configured.datacenter.as_deref()));
    findings.push(judge_schema(facts, configured));
    findings.extend(judge_owner(facts, cluster));
    findings.extend(judge_copies(facts, configured.datacenter.as_deref()));
    findings
}

fn judge_nodes(facts: &CassandraFacts) -> Finding {
    let (version, count) = (&facts.version, facts.nodes.len());
    let down: Vec<_> = facts.nodes.iter().filter(|node| !node.is_up).map(|node| node.address.as_str()).collect();
    match down.is_empty() {
        true => Finding::good(format!("Cassandra {version}: {count} of {count} nodes reached")),
        false => Finding::warning(
            format!("Cassandra {version}: {} of {count} nodes not reached", down.len()),
            format!("look at {}; from here their CQL port has to be open", down.join(", ")),
        ),
    }
}

fn judge_datacenter(facts: &CassandraFacts, wanted: Option<&str>) -> Option<Finding> {
    let there: BTreeSet<_> = facts.nodes.iter().map(|node| node.datacenter.as_str()).collect();
    let names = there.iter().copied().collect::<Vec<_>>().join(", ");
    match wanted {
        Some(wanted) if !there.contains(wanted) => Some(Finding::bad(
            format!("Cassandra: no node is in the datacenter {wanted:?}"),
            format!("set cassandra.datacenter to one of {names}"),
        )),
        None if there.len() > 1 => Some(Finding::warning(
            format!("Cassandra: it has several datacenters ({names})"),
            "set cassandra.datacenter, the same for all nodes of Bobchat",
        )),
        _ => None,
    }
}

fn judge_schema(facts: &CassandraFacts, configured: &Cassandra) -> Finding {
    let keyspace = configured.keyspace.as_str();
    let status = match &facts.schema {
        Ok(status) => status,
        Err(cause) => {
            return Finding::bad(format!("Cassandra: {cause}"), "too few of its nodes are up to read or write");
        }
    };
    let (version, known) = (status.version, status.known);
    if status.replication.is_none() {
        let what = format!("Cassandra: there is no keyspace {keyspace} yet");
        return Finding::warning(what, "the first node makes it, or `bobchat schema --apply` does");
    }
    let what = format!("Cassandra: keyspace {keyspace} has schema {version}, this version knows {known}");
    match version.cmp(&known) {
        _ if !status.is_usable() => Finding::bad(what, "use a newer bobchat"),
        std::cmp::Ordering::Less => {
            Finding::warning(what, "the next node that starts brings it up to date, or `bobchat schema --apply` does")
        }
        std::cmp::Ordering::Equal => Finding::good(what),
        std::cmp::Ordering::Greater => Finding::good(format!("{what}, which is enough")),
    }
}

fn judge_owner(facts: &CassandraFacts, cluster: &Cluster) -> Option<Finding> {
    let (keyspace, deployment) = (cluster.cassandra.keyspace.as_str(), &cluster.deployment);
    match &facts.owner {
        Owner::Deployment { name, .. } if name != deployment => Some(Finding::bad(
            format!("Cassandra: keyspace {keyspace} belongs to deployment {name:?}, this is {deployment:?}"),
            "use another keyspace, or set cluster.deployment",
        )),
        Owner::Deployment { .. } | Owner::Nobody | Owner::Unknown => None,
    }
}

/// Whether a quorum of the copies can be had, and what is lost with one node.
fn judge_copies(facts: &CassandraFacts, wanted: Option<&str>) -> Vec<Finding> {
    let copies = facts.copies.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == name.as_str()));
    copies.flat_map(|(name, copies)| judge_copies_in(facts, name, *copies)).collect()
}

fn judge_copies_in(facts: &CassandraFacts, name: &str, copies: u32) -> Option<Finding> {
    let nodes = facts.nodes.iter().filter(|node| node.datacenter == name).count();
    let (what, quorum) = (format!("Cassandra: {copies} copies of each row in {name}"), copies / 2 + 1);
    // A keyspace that is replicated without regard to datacenters names none.
    let counted = facts.nodes.iter().any(|node| node.datacenter == name);
    if counted && nodes < usize::try_from(quorum).unwrap_or(usize::MAX) {
        let what = format!("{what}, which has {nodes} node{}", if nodes == 1 { "" } else { "s" });
        return Some(Finding::bad(
            what,
            format!("nothing can be written: {quorum} are needed; add nodes, or ALTER KEYSPACE"),
        ));
    }
    (copies == 1).then(|| {
        Finding::warning(
            format!("Cassandra: one copy of each row in {name}"),
            "what its node loses is lost, and while it is down nothing is written; use three where it matters",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::adapters::cassandra::{NodeFacts, SchemaStatus};
    use crate::config::{Config, Sources};

    fn configured(datacenter: &str) -> Cluster {
        let environment = [
            ("BOBCHAT__REDIS__URL", "redis://r"),
            ("BOBCHAT__CASSANDRA__NODES", "c"),
            ("BOBCHAT__CASSANDRA__DATACENTER", datacenter),
        ];
        let environment = environment.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let sources = Sources { file: Some("/dev/null".into()), environment, ..Sources::default() };
        Config::load(&sources).unwrap().cluster.unwrap()
    }

    fn schema(version: u32, replication: Option<u32>) -> SchemaStatus {
        SchemaStatus { version, oldest: version, known: 2, replication }
    }

    fn facts(nodes: usize, copies: u32) -> CassandraFacts {
        let node = |number| NodeFacts { address: format!("n{number}"), datacenter: "east".to_owned(), is_up: true };
        CassandraFacts {
            version: "5.0.6".to_owned(),
            nodes: (0..nodes).map(node).collect(),
            schema: Ok(schema(2, Some(copies))),
            copies: BTreeMap::from([("east".to_owned(), copies)]),
            owner: Owner::Nobody,
        }
    }

    fn said(facts: &CassandraFacts, datacenter: &str) -> Vec<String> {
        judge_facts(facts, &configured(datacenter)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_ring_as_it_should_be_is_good() {
        let expected = [
            "good     Cassandra 5.0.6: 3 of 3 nodes reached",
            "good     Cassandra: keyspace bobchat has schema 2, this version knows 2",
        ];
        assert_eq!(said(&facts(3, 3), "east"), expected);
    }

    #[test]
    fn each_fault_is_named_with_what_to_do() {
        let contains = |lines: Vec<String>, verdict: &str, part: &str| {
            let found = lines.iter().any(|line| line.starts_with(verdict) && line.contains(part));
            assert!(found, "{verdict} {part} in {lines:?}");
        };
        contains(said(&facts(1, 1), ""), "warning", "one copy of each row in east");
        contains(
            said(&facts(1, 3), ""),
            "BAD",
            "3 copies of each row in east, which has 1 node: nothing can be written",
        );
        contains(said(&facts(3, 3), "west"), "BAD", "set cassandra.datacenter to one of east");
        let with = |schema| CassandraFacts { schema, ..facts(3, 3) };
        contains(said(&with(Ok(schema(1, Some(3)))), ""), "warning", "bobchat schema --apply");
        contains(said(&with(Ok(schema(3, Some(3)))), ""), "BAD", "use a newer bobchat");
        let added = SchemaStatus { oldest: 2, ..schema(3, Some(3)) };
        contains(said(&with(Ok(added)), ""), "good", "has schema 3, this version knows 2, which is enough");
        contains(said(&with(Err("no quorum".to_owned())), ""), "BAD", "no quorum: too few of its nodes are up");
        let none = CassandraFacts { copies: BTreeMap::new(), ..with(Ok(schema(0, None))) };
        contains(said(&none, ""), "warning", "there is no keyspace bobchat yet");
        let mut two = facts(3, 3);
        two.nodes[2].datacenter = "west".to_owned();
        contains(said(&two, ""), "warning", "several datacenters (east, west)");
        two.nodes[0].is_up = false;
        contains(said(&two, ""), "warning", "1 of 3 nodes not reached: look at n0");
        let owner = Owner::Deployment { name: "other".to_owned(), identity: "other-00c0ffee00c0ffee".to_owned() };
        contains(said(&CassandraFacts { owner, ..facts(3, 3) }, ""), "BAD", "belongs to deployment \"other\"");
        let other = CassandraFacts { version: "3.0.8".to_owned(), ..facts(3, 3) };
        contains(said(&other, ""), "warning", "version 3.0.8");
    }
}
