<?php

declare(strict_types=1);

namespace Stockade\Http;

use CurlHandle;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\Misuse;
use Stockade\Exception\StockadeException;

/**
 * A kept connection to a running engine, through ext-curl: opened by the first
 * attempt, and anew when it was lost.
 *
 * A socket file is spoken to by HTTP/2 with prior knowledge, which keeps forwarded
 * requests out; TCP by HTTP/1.1; TLS by what the server chooses.
 *
 * @internal
 */
final class Connection
{
    /** Of one attempt to connect: a host that accepts none within seconds is down. */
    private const CONNECT_TIMEOUT_MS = 2_000;
    /** libcurl 7.87 and 7.88 cannot use a connection again that prior knowledge opened (curl#10634). */
    private const REUSE_BROKEN_FROM = 0x075700;
    private const REUSE_BROKEN_UNTIL = 0x080000;

    private ?CurlHandle $curl = null;
    private readonly Exchange $exchange;
    /** The process that opened it: a fork's child opens its own. */
    private int $process = 0;
    private bool $isBusy = false;
    /** Whether the handle has received no response yet. */
    private bool $isFirst = true;
    private ?string $traceparent = null;
    private int $opened = 0;

    public function __construct(private readonly Address $address, private readonly string $ca)
    {
        if (!extension_loaded('curl')) {
            throw Misuse::because('a running engine is reached through ext-curl, which is not loaded');
        }
        $this->exchange = new Exchange();
    }

    /**
     * The output of var_dump: no secret.
     *
     * @return array<string, string>
     */
    public function __debugInfo(): array
    {
        return ['url' => $this->address->shown()];
    }

    private function __clone()
    {
    }

    /**
     * Posts a call and returns status and body of the response.
     *
     * @param int $milliseconds bounds the attempt, connecting included
     * @return array{int, string}
     * @throws ConnectionLost
     * @throws StockadeException if no attempt can succeed
     */
    public function post(string $body, int $milliseconds, ?string $traceparent): array
    {
        if ($this->isBusy) {
            // A signal handler or a destructor calls while libcurl waits.
            return (new self($this->address, $this->ca))->post($body, $milliseconds, $traceparent);
        }
        $curl = $this->handle($traceparent);
        $this->exchange->begin($body);
        curl_setopt($curl, CURLOPT_INFILESIZE, strlen($body));
        curl_setopt($curl, CURLOPT_TIMEOUT_MS, $milliseconds);
        curl_setopt($curl, CURLOPT_CONNECTTIMEOUT_MS, min($milliseconds, self::CONNECT_TIMEOUT_MS));
        $this->isBusy = true;
        try {
            curl_exec($curl);
        } finally {
            $this->isBusy = false;
            $response = $this->exchange->end();
        }
        $this->opened += (int) curl_getinfo($curl, CURLINFO_NUM_CONNECTS);
        if (curl_errno($curl) !== CURLE_OK) {
            throw $this->failure($curl);
        }
        $this->checkVersion($curl);
        return [(int) curl_getinfo($curl, CURLINFO_RESPONSE_CODE), $response];
    }

    /** How many connections were opened so far. */
    public function opened(): int
    {
        return $this->opened;
    }

    /** Closes the connection; a later call opens another. */
    public function close(): void
    {
        $this->curl = null;
    }

    private function handle(?string $traceparent): CurlHandle
    {
        $process = (int) getmypid();
        if ($this->curl === null || $this->process !== $process) {
            if ($this->curl !== null) {
                // The parent's: freeing it here would close the parent's TLS session.
                self::abandon($this->curl);
            }
            [$this->curl, $this->process] = [$this->open(), $process];
            [$this->traceparent, $this->isFirst] = ['', true];
        }
        if ($this->traceparent !== $traceparent) {
            curl_setopt($this->curl, CURLOPT_HTTPHEADER, $this->headers($traceparent));
            $this->traceparent = $traceparent;
        }
        return $this->curl;
    }

    private function open(): CurlHandle
    {
        $curl = curl_init($this->address->url);
        if ($curl === false) {
            throw Misuse::because('libcurl cannot be initialized');
        }
        $exchange = $this->exchange;
        $isSet = curl_setopt_array($curl, [
            CURLOPT_UPLOAD => true,
            CURLOPT_CUSTOMREQUEST => 'POST',
            CURLOPT_READFUNCTION => static fn ($curl, $file, int $most): string => $exchange->read($most),
            CURLOPT_WRITEFUNCTION => static fn ($curl, string $part): int => $exchange->write($part),
            CURLOPT_PROTOCOLS => $this->address->hasTls ? CURLPROTO_HTTPS : CURLPROTO_HTTP,
            CURLOPT_HTTP_VERSION => $this->version(),
            // The environment's proxy is for other hosts.
            CURLOPT_PROXY => '',
            CURLOPT_NOSIGNAL => true,
            CURLOPT_TCP_KEEPALIVE => true,
        ]);
        if ($this->address->socket !== null) {
            $isSet = $isSet && curl_setopt($curl, CURLOPT_UNIX_SOCKET_PATH, $this->address->socket);
        }
        if ($this->ca !== '') {
            $isSet = $isSet && curl_setopt($curl, CURLOPT_CAINFO, $this->ca);
        }
        if (!$isSet) {
            throw Misuse::because('libcurl ' . curl_version()['version'] . ' lacks an option that the driver needs');
        }
        return $curl;
    }

    private function version(): int
    {
        if ($this->address->socket === null) {
            return $this->address->hasTls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
        }
        if ((curl_version()['features'] & CURL_VERSION_HTTP2) === 0) {
            throw Misuse::because(
                'the libcurl of ext-curl lacks HTTP/2, which a socket file needs; use http://:KEY@HOST:PORT'
            );
        }
        return CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    }

    /** @return list<string> */
    private function headers(?string $traceparent): array
    {
        // Without Expect, libcurl sends a large body at once.
        $headers = ['Content-Type: application/json', 'Accept: application/json', 'Expect:'];
        if ($this->address->authorization !== null) {
            $headers[] = ($this->address->authorization)();
        }
        if ($traceparent !== null) {
            $headers[] = "traceparent: {$traceparent}";
        }
        return $headers;
    }

    /** Sees to it that a socket file is spoken to by HTTP/2, also by a libcurl of which reuse is broken. */
    private function checkVersion(CurlHandle $curl): void
    {
        if ($this->address->socket === null) {
            return;
        }
        if (curl_getinfo($curl, CURLINFO_HTTP_VERSION) < CURL_HTTP_VERSION_2_0) {
            // Another connection was opened, by HTTP/1, which the server refuses unread.
            $this->close();
            throw new ConnectionLost('the connection to the running engine was lost', false);
        }
        if ($this->isFirst && self::isReuseBroken()) {
            curl_setopt($curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_NONE);
        }
        $this->isFirst = false;
    }

    private static function isReuseBroken(): bool
    {
        $number = curl_version()['version_number'];
        return $number >= self::REUSE_BROKEN_FROM && $number < self::REUSE_BROKEN_UNTIL;
    }

    private function failure(CurlHandle $curl): ConnectionLost|StockadeException
    {
        [$number, $why, $isSent] = [curl_errno($curl), curl_error($curl), $this->exchange->isSent()];
        // Whatever state it is in: the next attempt opens another.
        $this->close();
        if ($this->exchange->isTooLong()) {
            return StockadeException::named('internal', 'the response is too long');
        }
        if ($isSent && in_array($number, [CURLE_UNSUPPORTED_PROTOCOL, CURLE_FTP_WEIRD_SERVER_REPLY], true)) {
            return StockadeException::named('internal', "the response is no HTTP: {$why}; is that a running engine?");
        }
        $isUntrusted = in_array($number, [CURLE_SSL_PEER_CERTIFICATE, CURLE_SSL_CACERT_BADFILE], true);
        if ($isUntrusted || $number === CURLE_UNSUPPORTED_PROTOCOL) {
            // Reconnecting does not help.
            return InvalidArgument::because("{$why}; check the URL of the engine and the setting remote_ca");
        }
        if ($isSent) {
            return new ConnectionLost("the connection to the running engine was lost: {$why}", true);
        }
        // Of a socket file libcurl would name the host and the port that are not used.
        $why = $this->address->socket === null ? $why : curl_strerror($number);
        return new ConnectionLost("the running engine at {$this->address->shown()} cannot be reached: {$why}", false);
    }

    private static function abandon(CurlHandle $curl): void
    {
        /** @var list<CurlHandle> $abandoned */
        static $abandoned = [];
        $abandoned[] = $curl;
    }
}
