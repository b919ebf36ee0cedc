package Klaviyo::Sandbox::Page;

# The sandbox's page: the events as they arrive.  Everything that came from
# outside is set as text, never as HTML, and the page loads nothing from
# elsewhere.

use Mojo::Base -strict, -signatures;

my %part;

{
    local $/;
    my $data = do { binmode DATA, ':encoding(UTF-8)'; <DATA> };

    %part = $data =~ /^@@ (\w+)\n(.*?)(?=^@@ |\z)/gms;
}


sub html ($c) {
    $c->res->headers->header('Content-Security-Policy' =>
        "default-src 'none'; script-src 'self'; style-src 'self';"
        . " connect-src 'self'; base-uri 'none'; form-action 'none'");

    return _send($c, html => 'text/html; charset=UTF-8');
}


sub script ($c) { return _send($c, script => 'text/javascript') }


sub style ($c) { return _send($c, style => 'text/css') }


sub _send ($c, $name, $type) {
    my $bytes = $part{$name};

    utf8::encode($bytes);

    $c->res->headers->content_type($type);
    $c->res->headers->cache_control('no-store');
    $c->res->headers->header('X-Content-Type-Options' => 'nosniff');

    return $c->render(data => $bytes);
}


1;

__DATA__
@@ html
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Events – Klaviyo sandbox</title>
<link rel="stylesheet" href="/page.css">
<script src="/page.js" defer></script>
</head>
<body>
<header>
<div>
<h1>Klaviyo sandbox</h1>
<p>Events as they arrive. Nothing here leaves this machine.</p>
</div>
<dl>
<div><dt>events</dt><dd id="recorded">0</dd></div>
<div><dt>requests</dt><dd id="requests">0</dd></div>
<div><dt>repeats discarded</dt><dd id="repeats">0</dd></div>
<div><dt>connection</dt><dd id="state">…</dd></div>
</dl>
</header>
<main>
<p id="empty">Waiting for the first event.</p>
<ol id="events"></ol>
</main>
</body>
</html>
@@ style
:root {
    --paper: #f6f5f1; --card: #fff; --ink: #23241f; --soft: #6d6f66;
    --line: #e2e0d8; --green: #0a7d55; --wash: #e5f3ec;
    color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
    :root {
        --paper: #191a18; --card: #232522; --ink: #ecebe4; --soft: #a0a298;
        --line: #373934; --green: #5fcf9f; --wash: #213b30;
    }
}
* { box-sizing: border-box; }
body {
    margin: 0; background: var(--paper); color: var(--ink);
    font: 15px/1.5 system-ui, sans-serif;
}
header, main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1.25rem; }
header {
    display: flex; flex-wrap: wrap; gap: 1rem 3rem;
    justify-content: space-between; align-items: end;
    border-bottom: 1px solid var(--line);
}
h1 { margin: 0; font-size: 1.5rem; letter-spacing: -.02em; }
header p { margin: 0; color: var(--soft); }
header dl { display: flex; flex-wrap: wrap; gap: .5rem 1.75rem; margin: 0; }
header dt { color: var(--soft); font-size: .8rem; }
header dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
#events { list-style: none; margin: 0; padding: 0; }
#events > li {
    background: var(--card); border: 1px solid var(--line);
    border-radius: .6rem; padding: .8rem 1rem; margin-bottom: .7rem;
}
#events > li.new { animation: arrive 1.6s ease-out; }
@keyframes arrive { from { background: var(--wash); } }
@media (prefers-reduced-motion: reduce) {
    #events > li.new { animation: none; }
}
.head { display: flex; flex-wrap: wrap; gap: .25rem .9rem;
    align-items: baseline; }
.metric { font-weight: 650; font-size: 1.05rem; }
.value { color: var(--green); font-weight: 600; }
.when { margin-left: auto; color: var(--soft); font-size: .85rem;
    font-variant-numeric: tabular-nums; }
.who { overflow-wrap: anywhere; }
.tag { font-size: .75rem; padding: .05rem .5rem; border-radius: 1rem;
    background: var(--wash); color: var(--green); }
.properties { display: grid; grid-template-columns: max-content 1fr;
    gap: .1rem 1rem; margin: .55rem 0 0; font-size: .9rem; }
.properties dt { color: var(--soft); max-width: 14rem;
    overflow-wrap: anywhere; }
.properties dd { margin: 0; overflow-wrap: anywhere; }
#empty { color: var(--soft); text-align: center; padding: 3rem 0; }
[hidden] { display: none; }
@@ script
"use strict";

const SHOWN = 300;

let last = 0;
let first = true;

function element(name, className, text) {
    const node = document.createElement(name);

    if (className) {
        node.className = className;
    }

    if (text !== undefined) {
        node.textContent = text;
    }

    return node;
}

function shown(value) {
    const text = typeof value === "string" ? value : JSON.stringify(value);

    return text.length > 400 ? text.slice(0, 400) + "…" : text;
}

function who(profile) {
    for (const name of ["email", "phone_number", "external_id", "id",
                        "anonymous_id", "_kx"])
    {
        if (profile[name]) {
            return profile[name];
        }
    }

    return "?";
}

function card(event) {
    const item = element("li", first ? "" : "new");
    const head = element("div", "head");
    const list = element("dl", "properties");

    head.append(element("span", "metric", event.metric));

    if (event.value !== undefined && event.value !== null) {
        head.append(element("span", "value",
            event.value + " " + (event.value_currency || "")));
    }

    head.append(element("span", "who", who(event.profile)),
                element("span", "tag", event.via));

    if (event.times > 1) {
        head.append(element("span", "tag", "seen " + event.times + " times"));
    }

    head.append(element("time", "when",
        new Date(event.received * 1000).toLocaleTimeString()));

    for (const name of Object.keys(event.properties).sort()) {
        list.append(element("dt", "", name),
                    element("dd", "", shown(event.properties[name])));
    }

    item.append(head, list);

    return item;
}

function number(id, value) {
    document.getElementById(id).textContent = value;
}

async function poll() {
    try {
        const stats = await (await fetch("/_sandbox/stats")).json();

        if (stats.recorded < last) {
            last = 0;
            document.getElementById("events").replaceChildren();
        }

        if (first && stats.recorded > SHOWN) {
            last = stats.recorded - SHOWN;
        }

        const events = await (await fetch(
            "/_sandbox/events?limit=500&since=" + last)).json();
        const list = document.getElementById("events");

        for (const event of events) {
            list.prepend(card(event));
            last = event.n;
        }

        while (list.childElementCount > SHOWN) {
            list.lastElementChild.remove();
        }

        document.getElementById("empty").hidden =
            list.childElementCount !== 0;

        number("recorded", stats.recorded);
        number("requests", stats.requests.single + stats.requests.bulk);
        number("repeats", stats.repeats);
        number("state", "live");
        first = false;

    } catch (error) {
        number("state", "lost");
    }

    setTimeout(poll, 700);
}

poll();
