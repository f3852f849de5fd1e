import { createHmac, timingSafeEqual } from "node:crypto";

/** Seconds that a signature's time may differ from the clock, as on the server. */
const TOLERANCE = 300;

/**
 * Signs a body as `Stockade-Signature`: `t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`.
 * Of several secrets separated by commas, the first signs.
 */
export function signWebhook(body: string, secret: string, now = Date.now()): string {
    const time = Math.floor(now / 1000);
    return `t=${time},v1=${digest(`${time}.${body}`, secretsOf(secret)[0] ?? "")}`;
}

/**
 * Whether a `Stockade-Signature` is that of the body by one of the secrets, separated by
 * commas, and at most five minutes old. The body is the text as it arrived.
 */
export function verifyWebhook(
    body: string,
    signature: string | null | undefined,
    secret: string,
    now = Date.now(),
): boolean {
    const [, time, given] = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(signature ?? "") ?? [];
    if (time === undefined || given === undefined) return false;
    if (Math.abs(now / 1000 - Number(time)) > TOLERANCE) return false;
    return secretsOf(secret).some((one) =>
        timingSafeEqual(Buffer.from(digest(`${time}.${body}`, one)), Buffer.from(given)),
    );
}

function digest(text: string, secret: string): string {
    return createHmac("sha256", secret).update(text).digest("hex");
}

function secretsOf(setting: string): string[] {
    const secrets = setting.split(",").map((one) => one.trim());
    if (secrets.some((one) => one === "")) throw new TypeError("a webhook secret is empty");
    return secrets;
}
