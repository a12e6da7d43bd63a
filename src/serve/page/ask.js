// Asking the server: errors as it words them, and waiting when all its places are taken.

// Statuses that pass by themselves: all places taken, not ready yet.
const PASSING = [429, 503];
// A person waits in front of the page: seconds between two tries at most, and of waiting in all.
const LONGEST = 30;
const IN_ALL = 120;

// Why the server did not answer; status 0: it could not be reached.
export class Refusal extends Error {
  constructor(status, detail) {
    super(detail || `status ${status}`);
    this.status = status;
    this.detail = detail;
  }
}

// The JSON at `url`. `waiting(seconds, status)` is called every second while a place is waited for; a `signal` that aborts ends all of it.
export async function ask(url, options, signal, waiting = () => {}) {
  let waited = 0;
  for (let patience = 1; ; patience *= 2) {
    const response = await reach(() => fetch(url, { ...options, signal }), signal);
    if (response.ok) return reach(() => response.json(), signal);
    const refusal = new Refusal(response.status, await detail(response));
    const after = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
    if (!PASSING.includes(response.status) || Number.isNaN(after) || waited >= IN_ALL) throw refusal;
    // A picture is sent again with each try: ever more rarely.
    const seconds = Math.min(Math.max(after, patience), LONGEST);
    for (let left = seconds; left > 0; left -= 1) {
      waiting(left, response.status);
      await pause(1000, signal);
    }
    waiting(0, response.status);
    waited += seconds;
  }
}

async function reach(work, signal) {
  try {
    return await work();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(0, String(error.message ?? error));
  }
}

async function detail(response) {
  try {
    const problem = await response.json();
    return problem.detail || problem.title || "";
  } catch {
    return response.statusText;
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(finish, milliseconds);
    function finish() {
      signal?.removeEventListener("abort", leave);
      resolve();
    }
    function leave() {
      clearTimeout(timer);
      reject(signal.reason);
    }
    if (signal?.aborted) leave();
    else signal?.addEventListener("abort", leave, { once: true });
  });
}
