<?php

declare(strict_types=1);

namespace Stockade;

use SensitiveParameter;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\Unauthorized;

/**
 * Signatures of payment webhooks, as the server checks them: the header
 * `Stockade-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`.
 *
 * A shop that takes webhooks itself checks each before it believes it: whoever
 * can post to the webhook could otherwise pay for himself.
 */
final class Webhook
{
    public const HEADER = 'Stockade-Signature';
    /** Seconds that a signature's time may be off, either way. */
    public const TOLERANCE_SECONDS = 300;

    /** The most signatures looked at, which bounds the work for one header. */
    private const SIGNATURES_MAX = 8;

    /**
     * Refuses a body that was not signed with one of the secrets just now.
     *
     * @param string $body the raw body, before it is parsed
     * @param ?string $header what the header Stockade-Signature says; null where it is missing
     * @param string|list<string> $secrets several while a secret is being changed
     * @param ?int $now seconds since 1970, for tests; the clock's by default
     * @throws Unauthorized where the signature is missing, wrong or too old
     * @throws InvalidArgument where no secret is given, which would let everything pass
     */
    public static function verify(
        string $body,
        ?string $header,
        #[SensitiveParameter] string|array $secrets,
        int $tolerance = self::TOLERANCE_SECONDS,
        ?int $now = null,
    ): void {
        $secrets = self::secrets($secrets);
        if ($header === null || $header === '') {
            throw self::unauthorized('the ' . self::HEADER . ' header is missing');
        }
        [$time, $signatures] = self::parse($header);
        // Every secret is tried with every signature, and before the time is
        // believed: how long this takes tells nothing.
        $isSigned = false;
        foreach ($secrets as $secret) {
            $expected = hash_hmac('sha256', "{$time}.{$body}", $secret);
            foreach ($signatures as $signature) {
                $isSigned = hash_equals($expected, $signature) || $isSigned;
            }
        }
        if (!$isSigned) {
            throw self::unauthorized('the signature is wrong');
        }
        // A time of more digits is beyond every clock.
        if (strlen($time) > 18 || abs((int) $time - ($now ?? time())) > $tolerance) {
            throw self::unauthorized("the signature is not of the last {$tolerance} seconds");
        }
    }

    /** The header for a body, as a sender makes it. */
    public static function sign(string $body, #[SensitiveParameter] string $secret, ?int $now = null): string
    {
        [$secret] = self::secrets($secret);
        $time = $now ?? time();
        return "t={$time},v1=" . hash_hmac('sha256', "{$time}.{$body}", $secret);
    }

    /**
     * The time as it was written, and the well-formed signatures.
     *
     * @return array{string, list<string>}
     */
    private static function parse(string $header): array
    {
        $time = null;
        $signatures = [];
        foreach (explode(',', $header) as $part) {
            [$name, $value] = explode('=', trim($part), 2) + [1 => ''];
            if ($name === 't') {
                // Two times: which one was signed?
                if (!ctype_digit($value) || $time !== null) {
                    $time = null;
                    break;
                }
                $time = $value;
            } elseif ($name === 'v1' && count($signatures) < self::SIGNATURES_MAX) {
                if (strlen($value) === 64 && ctype_xdigit($value)) {
                    $signatures[] = strtolower($value);
                }
            }
        }
        if ($time === null) {
            throw self::unauthorized('the ' . self::HEADER . ' header must read t=<unix seconds>,v1=<hex>');
        }
        return [$time, $signatures];
    }

    /**
     * @param string|array<mixed> $secrets
     * @return list<string>
     */
    private static function secrets(#[SensitiveParameter] string|array $secrets): array
    {
        $secrets = array_values((array) $secrets);
        foreach ($secrets as $secret) {
            if (!is_string($secret) || $secret === '') {
                throw InvalidArgument::because('a webhook secret must be a text of at least one character');
            }
        }
        if ($secrets === []) {
            throw InvalidArgument::because('a webhook secret is needed: without one every webhook would pass');
        }
        return $secrets;
    }

    private static function unauthorized(string $why): Unauthorized
    {
        return new Unauthorized('unauthorized', 11, $why);
    }
}
