// Follows the server's events by fetch, which can send the API key, and connects again.

import { refusal, send } from "./api.js";

const SILENCE_MAX = 6000;
const PAUSE_MIN = 400;
const PAUSE_MAX = 5000;

/**
 * Follows the stream until the returned function is called. `on` has functions for
 * `hello` and `frame`, and for `state`, which is told "live", "wait" or "refused".
 */
export function follow(on) {
  let stopped = false;
  let connection;
  let pause = PAUSE_MIN;

  async function connect() {
    connection = new AbortController();
    let watch = silence();
    function silence() {
      return setTimeout(() => connection.abort(), SILENCE_MAX);
    }
    try {
      const response = await send("GET", "admin/stream", { signal: connection.signal });
      if (!response.ok) throw await refusal(response);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done || stopped) return;
        clearTimeout(watch);
        watch = silence();
        text += value;
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          handle(text.slice(0, end));
          text = text.slice(end + 2);
        }
      }
    } finally {
      clearTimeout(watch);
    }
  }

  function handle(event) {
    const [head, body] = event.split("\n", 2);
    const name = head.replace("event: ", "");
    pause = PAUSE_MIN;
    on.state("live");
    on[name]?.(JSON.parse(body.replace("data: ", "")));
  }

  async function run() {
    while (!stopped) {
      try {
        await connect();
      } catch (error) {
        if (stopped) return;
        if (error.status === 401 || error.status === 403) {
          on.state("refused", error);
          return;
        }
        if (error.status !== undefined) on.state("wait", error);
      }
      if (stopped) return;
      on.state("wait");
      // Not all pages of a restarted server at the same moment.
      await new Promise((resolve) => setTimeout(resolve, pause * (0.75 + Math.random() / 2)));
      pause = Math.min(pause * 2, PAUSE_MAX);
    }
  }

  run();
  return () => {
    stopped = true;
    connection?.abort();
  };
}
