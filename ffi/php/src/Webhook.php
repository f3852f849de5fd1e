<?php

declare(strict_types=1);

namespace Stockade;

use SensitiveParameter;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\Unauthorized;

/**
 * Signatures of payment webhooks, verified as the server does: the header
 * `Stockade-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`.
 *
 * A shop that receives webhooks itself must verify each of them: otherwise any
 * client could mark its own order as paid.
 */
final class Webhook
{
    public const HEADER = 'Stockade-Signature';
    /** The largest accepted clock difference in seconds, in either direction. */
    public const TOLERANCE_SECONDS = 300;

    /** The most signatures checked, which bounds the work per request. */
    private const SIGNATURES_MAX = 8;

    /**
     * Rejects a body without a valid and recent signature.
     *
     * @param string $body the raw body, before it is parsed
     * @param ?string $header the value of the header Stockade-Signature; null if it is missing
     * @param string|list<string> $secrets several during a rotation
     * @param ?int $now the current time in seconds since 1970, for tests
     * @throws Unauthorized if the signature is missing, invalid or too old
     * @throws InvalidArgument if no secret is given, which would accept everything
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
        // Try every secret with every signature in constant time, before trusting
        // the time: the duration leaks nothing.
        $isSigned = false;
        foreach ($secrets as $secret) {
            $expected = hash_hmac('sha256', "{$time}.{$body}", $secret);
            foreach ($signatures as $signature) {
                $isSigned = hash_equals($expected, $signature) || $isSigned;
            }
        }
        if (!$isSigned) {
            throw self::unauthorized('the signature is invalid');
        }
        // No clock shows a time of more digits.
        if (strlen($time) > 18 || abs((int) $time - ($now ?? time())) > $tolerance) {
            throw self::unauthorized("the signature's time differs by more than {$tolerance} seconds");
        }
    }

    /** Creates the header of a body, as a sender does. */
    public static function sign(string $body, #[SensitiveParameter] string $secret, ?int $now = null): string
    {
        [$secret] = self::secrets($secret);
        $time = $now ?? time();
        return "t={$time},v1=" . hash_hmac('sha256', "{$time}.{$body}", $secret);
    }

    /**
     * Parses the time, as written, and the well-formed signatures.
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
                // With two times it is ambiguous which one was signed.
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
