// What the panel adds to its pages where scripts run; every page works without.

// Moments in the reader's own time.
function local(root) {
  const draw = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" });
  for (const one of root.querySelectorAll("time[datetime]")) one.textContent = draw.format(new Date(one.dateTime));
}

// Buttons that copy what is in another element.
function copying(root) {
  for (const button of root.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.parentElement.querySelector("[role=status]").textContent = button.dataset.done;
    });
  }
}

// The code of an invitation or a mail stands after # in its link, which no server sees; it leaves the address bar at once.
function fromAddress(root) {
  for (const field of root.querySelectorAll("input[data-from-address]")) {
    if (!location.hash.startsWith(field.dataset.fromAddress)) continue;
    field.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
  }
}

// Forms that ask the browser for a passkey, and send what it says.
function passkeys(root) {
  if (!window.PublicKeyCredential || !PublicKeyCredential.parseRequestOptionsFromJSON) return;
  for (const form of root.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const { asked, answer } = form.elements, status = form.querySelector("[role=status]");
      try {
        const options = JSON.parse(asked.value);
        const made = form.dataset.passkey === "create"
          ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
          : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
        answer.value = JSON.stringify(made.toJSON());
        form.submit();
      } catch {
        status.textContent = status.dataset.failed;
      }
    });
  }
}

// A log is read from its end; what is followed for long does not fill the browser.
const MOST_PARTS_OF_LOG = 500;
function atTheEnd(root) {
  const around = root.closest ? root.closest("pre.log") : null;
  for (const log of around ? [around] : root.querySelectorAll("pre.log")) {
    while (log.childElementCount > MOST_PARTS_OF_LOG) log.firstElementChild.remove();
    log.scrollTop = log.scrollHeight;
  }
}

// What needs scripts is offered where they run.
function withScripts(root) {
  for (const one of root.querySelectorAll("[data-with-scripts]")) one.hidden = false;
}

function enhance(root) {
  local(root);
  copying(root);
  atTheEnd(root);
  fromAddress(root);
  passkeys(root);
  withScripts(root);
}

// A page that looks for news says so when nobody answers, and since when what it shows is old.
const away = document.getElementById("away");
let heard = new Date();
document.addEventListener("htmx:sendError", () => {
  if (!away.hidden) return;
  const now = away.querySelector("time");
  now.dateTime = heard.toISOString();
  local(away);
  away.role = "alert";
  away.hidden = false;
});
document.addEventListener("htmx:afterOnLoad", () => {
  heard = new Date();
  away.hidden = true;
});

enhance(document);
document.addEventListener("htmx:afterSettle", (event) => enhance(event.target));
