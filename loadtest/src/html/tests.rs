use super::*;

/// A result as programs would write it.
fn outcome(title: &str, p99_us: u64) -> Outcome {
    let latency = serde_json::json!({
        "count": 20, "mean_us": 900.0, "p50_us": 800, "p90_us": 1200, "p99_us": p99_us, "p999_us": p99_us,
        "max_us": p99_us, "buckets": [[800, 18], [p99_us, 2]]
    });
    let point = |second: u64| {
        serde_json::json!({
            "second": second, "connections": 10, "sent_per_second": 5.0, "acked_per_second": 5.0,
            "delivered_per_second": 50.0, "pages_per_second": 0.0, "connects_per_second": 0.0, "typed_per_second": 0.0,
            "errors": 0, "delivery": {"count": 10, "p50_us": 800, "p90_us": 1200, "p99_us": p99_us, "max_us": p99_us}
        })
    };
    let outcome = serde_json::json!({
        "version": 1,
        "scenario": {"title": title, "about": "a <b>", "seconds": 2.0, "rooms": 1, "members": 10, "bytes": 120},
        "targets": ["http://127.0.0.1:8080"], "format": "protobuf", "started_at_ms": 1,
        "machine": {"cpu": "some", "cores": 2, "kernel": "6"},
        "processes": 1, "seconds": 2.0, "connections": 10, "harness_cpu": 0.25,
        "totals": {
            "sent": 10, "acked": 10, "delivered": 100, "deliveries_per_read": 1.0, "pages": 0, "typed": 0, "connects": 0,
            "resumes": 0, "put_off": 0, "resent": 0, "slow_closed": 0, "slow_told": 0, "slow_resets": 0
        },
        "latency": {"delivery": latency},
        "server": {
            "cpu_seconds": 0.5, "resident_bytes_after": 42_000_000,
            "series": [{"second": 1, "cores": 0.25, "resident_bytes": 41_000_000, "metrics": {}}]
        },
        "faults": [{"name": "pause", "from": 1.0, "until": 1.5}],
        "agreement": [{
            "figure": "bobchat_messages_acknowledged_total", "clients_at_least": 10, "clients_at_most": 10,
            "servers": 10.0, "agrees": true
        }],
        "violations": {"counts": {}, "examples": []},
        "series": [point(1), point(2)]
    });
    serde_json::from_value(outcome).unwrap()
}

/// Whether every tag that is opened is closed, in order.
fn is_well_formed(page: &str) -> bool {
    const VOID: [&str; 3] = ["meta", "br", "!doctype"];
    let mut open: Vec<&str> = Vec::new();
    for tag in page.split('<').skip(1) {
        let inside = tag.split('>').next().unwrap();
        let name = inside.trim_start_matches('/').split_whitespace().next().unwrap().trim_end_matches('/');
        if inside.starts_with('/') {
            if open.pop() != Some(name) {
                return false;
            }
        } else if !inside.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    open.is_empty()
}

#[test]
fn a_page_needs_no_network_and_shows_everything() {
    let page = page(&[&outcome("Fan-out", 4_000)]).unwrap();
    assert!(is_well_formed(&page), "{page}");
    for part in ["Fan-out", "a &lt;b&gt;", "Every promise kept", "prefers-color-scheme: dark", "Server CPU", ">pause<"]
    {
        assert!(page.contains(part), "{part} is missing");
    }
    for part in ["http:", "https:", "src=", "<link", "<script", "url("] {
        let allowed = page.replace("http://127.0.0.1:8080", "");
        assert!(!allowed.contains(part), "{part} would be fetched");
    }
}

#[test]
fn two_results_stand_side_by_side_on_the_same_scale() {
    let page = page(&[&outcome("Before", 4_000), &outcome("After", 1_000)]).unwrap();
    assert!(is_well_formed(&page), "{page}");
    assert!(page.contains("<td>delivery p99</td><td>4 ms</td><td>1 ms</td><td>0.25</td>"), "{page}");
    assert_eq!(page.matches("<figure>").count() % 2, 0);
    assert!(page.contains("Before and After") && page.contains("<th>B / A</th>"));
}

#[test]
fn broken_promises_are_named() {
    let mut broken = outcome("Fan-out", 1_000);
    broken.violations.add(crate::check::Kind::Loss, || "room 1 seq 2 <never> came".to_owned());
    let page = page(&[&broken]).unwrap();
    assert!(page.contains("loss × 1") && page.contains("&lt;never&gt;") && !page.contains("Every promise kept"));
}
