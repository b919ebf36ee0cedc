// What parse5, the HTML parser of the standard, sees in pages, as
// t/pages/ours.c prints it:
//
//     node parse5.js FOLDER

const fs = require('fs');
const { parse } = require('parse5');

const OF = { a: 'href', area: 'href', link: 'href', audio: 'src',
    embed: 'src', iframe: 'src', img: 'src', source: 'src', track: 'src',
    video: 'src', data: 'value', input: 'value', meter: 'value' };

// Node's own decoder of windows-1252 takes 0x80 to 0x9f for controls
const WINDOWS = '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030'
    + '\u0160\u2039\u0152\x8d\u017d\x8f\x90\u2018\u2019\u201c\u201d\u2022'
    + '\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';

function decode(bytes, charset) {
    return charset !== 'windows-1252' ? new TextDecoder(charset).decode(bytes)
        : bytes.toString('latin1').replace(/[\x80-\x9f]/g,
            ch => WINDOWS[ch.charCodeAt(0) - 0x80]);
}

function attribute(node, name) {
    const attr = node.attrs.find(a => a.name === name);

    return attr ? attr.value : null;
}

// but of scripts and styles
function text(node) {
    if (node.nodeName === '#text') {
        return node.value;
    }

    return /^(script|style)$/.test(node.nodeName) || !node.childNodes ? ''
        : node.childNodes.map(text).join('');
}

function raw(node) {
    return node.childNodes.map(child => child.value).join('');
}

function property(node) {
    const content = attribute(node, 'content');

    if (content !== null) {
        return content;
    }

    if (OF[node.nodeName]) {
        return attribute(node, OF[node.nodeName]);
    }

    return node.nodeName === 'time' && attribute(node, 'datetime')
        || text(node);
}

function see(node, seen) {
    const name = node.nodeName;

    if (node.attrs) {
        const names = attribute(node, 'itemprop');

        if (names && attribute(node, 'itemscope') === null) {
            const value = property(node);

            if (value !== null) {
                names.split(/\s+/).forEach(n =>
                    seen.push(['property', n, value]));
            }
        }
    }

    if (name === 'meta') {
        const key = attribute(node, 'property') || attribute(node, 'name');
        const content = attribute(node, 'content');

        if (key && content !== null) {
            seen.push(['meta', key, content]);
        }

    } else if (name === 'link') {
        const rel = (attribute(node, 'rel') || '').toLowerCase().split(/\s+/);

        if (rel.includes('canonical') && attribute(node, 'href')) {
            seen.push(['canonical', '', attribute(node, 'href')]);
        }

    } else if (name === 'title' && /xhtml/.test(node.namespaceURI)
               && !seen.some(row => row[0] === 'title')) {
        seen.push(['title', '', text(node)]);

    } else if (name === 'script'
               && /^application\/ld\+json\s*(;|$)/i
                   .test(attribute(node, 'type') || '')) {
        seen.push(['jsonld', '', raw(node)]);

    } else if (name === 'script' && raw(node).startsWith('var eContext = ')) {
        seen.push(['econtext', '', raw(node)]);
    }

    (node.childNodes || []).forEach(child => see(child, seen));
}

const folder = process.argv[2];
const all = {};

for (const line of fs.readFileSync(`${folder}/manifest`, 'utf8')
    .split('\n').filter(Boolean)) {
    const [file, , charset] = line.split(' ');
    const html = decode(fs.readFileSync(`${folder}/${file}`), charset);
    const seen = [];

    see(parse(html, { scriptingEnabled: false }), seen);
    all[file] = { seen };
}

process.stdout.write(JSON.stringify(all));
