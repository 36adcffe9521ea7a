use super::finding::Finding;
use crate::adapters::cassandra::{self, is_identity_of};
use crate::adapters::redis::{CheckError, Owner, RedisFacts, SLOTS, ServerFacts, inspect, is_new_enough};
use crate::config::Cluster;
use crate::startup::options;

/// Looks at the Redis that is configured.
pub(super) async fn look(cluster: &Cluster) -> Result<RedisFacts, CheckError> {
    // Nothing is published: any number will do.
    inspect(&options::redis(cluster, &cluster.deployment, 0)).await
}

/// Says what is good and what is not; `keyspace` is whose the keyspace in Cassandra is.
pub(super) fn judge(
    looked: &Result<RedisFacts, CheckError>,
    deployment: &str,
    keyspace: &cassandra::Owner,
) -> Vec<Finding> {
    match looked {
        Ok(facts) => judge_facts(facts, deployment, keyspace),
        Err(error) => {
            let advice = match error {
                CheckError::Certificates(_) => {
                    "redis.certificates names a PEM file with authorities, client_certificate and client_key one each of this node"
                }
                _ => {
                    "is it running, are redis.url (or redis.cluster), redis.username and redis.password right, and \
                     does redis.certificates hold the authority of its certificate if it encrypts"
                }
            };
            vec![Finding::bad(format!("Redis: {error}"), advice)]
        }
    }
}

fn judge_facts(facts: &RedisFacts, deployment: &str, keyspace: &cassandra::Owner) -> Vec<Finding> {
    let mut findings: Vec<_> =
        facts.servers.iter().flat_map(|server| judge_server(server, facts.slots_served.is_some())).collect();
    findings.extend(facts.slots_served.filter(|served| *served < SLOTS).map(|served| {
        let what = format!("Redis: only {served} of {SLOTS} slots of the cluster are served");
        Finding::bad(what, "rooms in the others are busy; `redis-cli --cluster check` says which primaries are gone")
    }));
    findings.extend(match &facts.owner {
        Owner::Deployment(found) => Some(judge_owner(found, deployment, keyspace)),
        Owner::Nobody => {
            Some(Finding::good(format!("Redis: it belongs to nobody yet, the first node takes it for {deployment:?}")))
        }
        Owner::Unknown => None,
    });
    findings
}

/// A node starts where Redis and the keyspace have one identity.
fn judge_owner(found: &str, deployment: &str, keyspace: &cassandra::Owner) -> Finding {
    let other = "use another Redis or another database, or set cluster.deployment";
    if !is_identity_of(found, deployment) {
        return Finding::bad(format!("Redis: it belongs to deployment {found:?}, this is {deployment:?}"), other);
    }
    match keyspace {
        cassandra::Owner::Deployment { identity, .. } if identity != found => Finding::bad(
            format!("Redis: it belongs to deployment {found:?}, the keyspace in Cassandra to {identity:?}"),
            "one of them is another environment's, or was made anew: use the two that belong together",
        ),
        cassandra::Owner::Nobody => Finding::bad(
            format!("Redis: it belongs to deployment {found:?}, the keyspace in Cassandra to nobody yet"),
            "bring back the keyspace that belongs to it, or use an empty Redis or database",
        ),
        cassandra::Owner::Deployment { .. } => {
            Finding::good(format!("Redis: it belongs to this deployment, {found:?}"))
        }
        cassandra::Owner::Unknown => {
            Finding::good(format!("Redis: it belongs to this deployment by its name, {found:?}"))
        }
    }
}

fn judge_server(server: &ServerFacts, is_cluster: bool) -> Vec<Finding> {
    let name = format!("Redis {} at port {}", server.version, server.port);
    let mut findings = Vec::new();
    let mut bad = |what: &str, advice: &str| findings.push(Finding::bad(format!("{name}{what}"), advice));
    if !is_new_enough(&server.version) {
        bad("", "use 7.0 or newer");
    }
    if !server.is_primary {
        bad(" is a replica", "name its primary");
    }
    if server.policy != "noeviction" {
        let what = format!(" evicts (maxmemory-policy {})", server.policy);
        bad(&what, "set maxmemory-policy to noeviction, or rooms lose what was acknowledged");
    }
    if server.in_cluster && !is_cluster {
        bad(" is a node of a cluster", "name it in redis.cluster instead of redis.url");
    }
    if findings.is_empty() {
        findings.push(Finding::good(format!("{name}: takes writes, evicts nothing")));
    }
    if server.memory_max == 0 {
        let advice = "set maxmemory below the machine's, so that a full Redis answers `busy` and is not killed";
        findings.push(Finding::warning(format!("{name} has no limit of memory"), advice));
    }
    if !server.appends_to_file {
        let advice = "set appendonly yes: after a crash it has what was not archived yet, and not only the nodes have";
        findings.push(Finding::warning(format!("{name} writes nothing to disk"), advice));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> ServerFacts {
        ServerFacts {
            port: "6379".to_owned(),
            version: "7.0.15".to_owned(),
            is_primary: true,
            in_cluster: false,
            policy: "noeviction".to_owned(),
            memory_max: 1 << 30,
            appends_to_file: true,
        }
    }

    const IDENTITY: &str = "bobchat-00c0ffee00c0ffee";

    fn keyspace(identity: &str) -> cassandra::Owner {
        cassandra::Owner::Deployment { name: "bobchat".to_owned(), identity: identity.to_owned() }
    }

    fn said(facts: &RedisFacts) -> Vec<String> {
        said_beside(facts, &keyspace(IDENTITY))
    }

    fn said_beside(facts: &RedisFacts, keyspace: &cassandra::Owner) -> Vec<String> {
        judge_facts(facts, "bobchat", keyspace).iter().map(ToString::to_string).collect()
    }

    fn one(server: ServerFacts) -> RedisFacts {
        RedisFacts { servers: vec![server], owner: Owner::Nobody, slots_served: None }
    }

    #[test]
    fn a_server_as_it_should_be_is_good() {
        let facts = RedisFacts { owner: Owner::Deployment(IDENTITY.to_owned()), ..one(server()) };
        let expected = [
            "good     Redis 7.0.15 at port 6379: takes writes, evicts nothing",
            "good     Redis: it belongs to this deployment, \"bobchat-00c0ffee00c0ffee\"",
        ];
        assert_eq!(said(&facts), expected);
    }

    #[test]
    fn redis_and_the_keyspace_belong_together_or_no_node_starts() {
        let facts = RedisFacts { owner: Owner::Deployment(IDENTITY.to_owned()), ..one(server()) };
        for (keyspace, expected) in [
            (keyspace("bobchat-00000000deadbeef"), "BAD      Redis: it belongs to deployment \"bobchat-00c0ffee"),
            (cassandra::Owner::Nobody, "BAD      Redis: it belongs to deployment \"bobchat-00c0ffee"),
            (cassandra::Owner::Unknown, "good     Redis: it belongs to this deployment by its name"),
        ] {
            let lines = said_beside(&facts, &keyspace);
            assert!(lines[1].starts_with(expected), "{keyspace:?}: {lines:?}");
            let nobodys = said_beside(&one(server()), &keyspace);
            assert!(nobodys[1].starts_with("good     Redis: it belongs to nobody yet"), "{nobodys:?}");
        }
    }

    #[test]
    fn each_fault_is_named_with_what_to_do() {
        for (server, expected) in [
            (ServerFacts { version: "6.2.7".to_owned(), ..server() }, "use 7.0 or newer"),
            (ServerFacts { is_primary: false, ..server() }, "name its primary"),
            (ServerFacts { policy: "allkeys-lru".to_owned(), ..server() }, "set maxmemory-policy to noeviction"),
            (ServerFacts { in_cluster: true, ..server() }, "redis.cluster instead of redis.url"),
        ] {
            let lines = said(&one(server));
            assert!(lines[0].starts_with("BAD") && lines[0].contains(expected), "{expected} in {lines:?}");
        }
        let careless = ServerFacts { memory_max: 0, appends_to_file: false, ..server() };
        let lines = said(&one(careless));
        assert!(lines.iter().filter(|line| line.starts_with("warning")).count() == 2, "{lines:?}");
        let other = RedisFacts { owner: Owner::Deployment("other".to_owned()), ..one(server()) };
        assert!(said(&other)[1].starts_with("BAD      Redis: it belongs to deployment \"other\""));
        let partial = RedisFacts { slots_served: Some(10_923), ..one(server()) };
        assert!(said(&partial)[1].starts_with("BAD      Redis: only 10923 of 16384 slots"));
    }
}
