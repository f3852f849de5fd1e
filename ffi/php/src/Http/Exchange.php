<?php

declare(strict_types=1);

namespace Stockade\Http;

/**
 * The bytes of one attempt: what libcurl has yet to read, and what it has received.
 *
 * libcurl sends a request again by itself if a kept connection is lost. It cannot
 * rewind a body that a callback supplies, so it fails instead, and the driver sends
 * the call again, marked as a retry.
 *
 * @internal
 */
final class Exchange
{
    /** The most bytes of a response: ten thousand events have about two millions. */
    private const RESPONSE_BYTES_MAX = 16 << 20;

    private string $body = '';
    private int $sent = 0;
    private string $response = '';
    private bool $isTooLong = false;

    public function begin(string $body): void
    {
        [$this->body, $this->sent, $this->response, $this->isTooLong] = [$body, 0, '', false];
    }

    /** Returns the next bytes to send, '' at the end. */
    public function read(int $most): string
    {
        $part = substr($this->body, $this->sent, $most);
        $this->sent += strlen($part);
        return $part;
    }

    /** Takes received bytes and returns how many; fewer than given abort the attempt. */
    public function write(string $part): int
    {
        if (strlen($this->response) + strlen($part) > self::RESPONSE_BYTES_MAX) {
            $this->isTooLong = true;
            return -1;
        }
        $this->response .= $part;
        return strlen($part);
    }

    /** Whether any byte of the call may have reached the server. */
    public function isSent(): bool
    {
        return $this->sent > 0;
    }

    public function isTooLong(): bool
    {
        return $this->isTooLong;
    }

    /** Ends the attempt and returns what was received. */
    public function end(): string
    {
        $response = $this->response;
        [$this->body, $this->response] = ['', ''];
        return $response;
    }
}
