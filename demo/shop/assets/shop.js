"use strict";

/*
 * The visitor and the bag live in cookies, where nginx reads them.  The items
 * of the bag are sorted: nginx looks their total up.
 */

const NAMES = {
    lamp: "Brass Desk Lamp", mug: "Stoneware Mug", blanket: "Wool Blanket"
};
const PRICES = { lamp: 49, mug: 14.5, blanket: 79 };

function cookie(name) {
    for (const part of document.cookie.split("; ")) {
        if (part.startsWith(name + "=")) {
            return part.slice(name.length + 1);
        }
    }

    return "";
}

function setCookie(name, value) {
    document.cookie = name + "=" + value + "; Path=/; SameSite=Lax"
        + (value === "" ? "; Max-Age=0" : "");
}

function bag() {
    return cookie("bag").split(".").filter((item) => NAMES[item]);
}

function each(selector, callback) {
    document.querySelectorAll(selector).forEach(callback);
}

function show() {
    const email = cookie("customer_email");
    const items = bag();
    const total = items.reduce((sum, item) => sum + PRICES[item], 0);

    each("[data-signed-in]", (node) => { node.hidden = email === ""; });
    each("[data-signed-out]", (node) => { node.hidden = email !== ""; });
    each("[data-email]", (node) => { node.textContent = email; });
    each("[data-count]", (node) => { node.textContent = items.length; });
    each("[data-total]", (node) => {
        node.textContent = total.toFixed(2) + " €";
    });
    each("[data-filled]", (node) => { node.hidden = items.length === 0; });
    each("[data-empty]", (node) => { node.hidden = items.length !== 0; });
    each("[data-items]", (list) => {
        list.replaceChildren(...items.map((item) => {
            const line = document.createElement("li");

            line.textContent = NAMES[item] + " – "
                + PRICES[item].toFixed(2) + " €";

            return line;
        }));
    });
}

each("form[data-sign-in]", (form) => {
    form.addEventListener("submit", (event) => {
        const email = form.elements.email.value.trim();

        event.preventDefault();

        if (!/^[\w.+-]+@[\w-]+(\.[\w-]+)+$/.test(email)) {
            return;
        }

        const name = email.split(/[@.+]/)[0];

        setCookie("customer_email", email);
        setCookie("customer_name", name[0].toUpperCase() + name.slice(1));
        location.reload();
    });
});

each("[data-sign-out]", (button) => {
    button.addEventListener("click", () => {
        setCookie("customer_email", "");
        setCookie("customer_name", "");
        location.reload();
    });
});

each("[data-add]", (button) => {
    button.addEventListener("click", () => {
        const items = new Set(bag());

        items.add(button.dataset.add);
        setCookie("bag", [...items].sort().join("."));

        if (cookie("bag_id") === "") {
            const bytes = crypto.getRandomValues(new Uint8Array(8));

            setCookie("bag_id", Array.from(bytes,
                (byte) => byte.toString(16).padStart(2, "0")).join(""));
        }

        location.href = "/add?product=" + button.dataset.add;
    });
});

show();
