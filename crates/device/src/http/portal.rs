//! Brings a phone that joins the meter's Wi-Fi to the meter's own page.
//!
//! A system that joins a network asks for a page of its maker and looks at the answer. There is no internet here, every name
//! is answered with the meter's address, and anything but the answer that is expected makes the system show what came
//! instead: its *captive portal*. The way that all of them take is a redirect, which says where the page is.
//!
//! | system | asks for | expects | says so |
//! |---|---|---|---|
//! | Android, ChromeOS | `/generate_204`, `/gen_204` of connectivitycheck.gstatic.com, www.google.com | 204 and no body | AOSP, `NetworkMonitor.java`, `res/values/config.xml` of NetworkStack |
//! | iOS, macOS | `/hotspot-detect.html`, `/library/test/success.html` of captive.apple.com | a page that says *Success* | Apple, "Use captive portals", and support HT204497 |
//! | Windows | `/connecttest.txt` of www.msftconnecttest.com, formerly `/ncsi.txt` of www.msftncsi.com; its browser then opens `/redirect` | *Microsoft Connect Test*, *Microsoft NCSI* | Microsoft, "Network Connectivity Status Indicator overview" |
//! | Firefox | `/canonical.html`, `/success.txt` of detectportal.firefox.com | a redirect by its page to support.mozilla.org; *success* | Mozilla, `captivedetect.sys.mjs`, `network.captive-portal-service` |
//! | GNOME, Ubuntu | `/check_network_status.txt` of nmcheck.gnome.org; `/` of connectivity-check.ubuntu.com | *NetworkManager is online*; 204 with a header | NetworkManager.conf, section connectivity |
//! | KDE, Debian, Arch | other paths of names of their own | a word of their own | as before |
//!
//! So whatever is asked under a *name* is redirected, and so is what is none of the meter's paths under another address; the
//! API is not, for a program is not helped by a page.

use alloc::borrow::Cow;
use core::{fmt, net::SocketAddrV4};

use super::{
    head::{Head, Host},
    reply::{Body, Reply, Whole},
    routes,
};
use crate::board::Board;

/// What systems ask for, also where they take the meter's address for that of their maker.
const PROBES: &[&str] = &[
    "/generate_204",
    "/gen_204",
    "/hotspot-detect.html",
    "/library/test/success.html",
    "/connecttest.txt",
    "/ncsi.txt",
    "/redirect",
    "/canonical.html",
    "/success.txt",
    "/check_network_status.txt",
];

/// Tells whether a request is meant for somebody else.
pub(super) fn is_for_another(head: &Head) -> bool {
    if head.method != "GET" || head.path().starts_with("/api/") {
        return false;
    }
    let is_ours = routes::check(head).is_ok();
    match head.host {
        _ if PROBES.contains(&head.path()) => true,
        Host::Name => true,
        Host::Address => !is_ours,
        Host::Own => false,
    }
}

/// Sends the phone to the meter's own page.
pub(super) fn redirect<'a, B: Board>(own: SocketAddrV4) -> Reply<'a, B> {
    let text = Whole {
        content_type: "text/plain; charset=utf-8",
        bytes: Cow::Borrowed(b"The meter's page is elsewhere.\n"),
    };
    Reply::new(302, Body::Whole(text))
        .with("Location", Location(own))
        .with("Cache-Control", "no-store")
}

struct Location(SocketAddrV4);

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.port() {
            80 => write!(f, "http://{}/", self.0.ip()),
            _ => write!(f, "http://{}/", self.0),
        }
    }
}
