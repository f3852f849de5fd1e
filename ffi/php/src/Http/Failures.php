<?php

declare(strict_types=1);

namespace Stockade\Http;

use DateTimeImmutable;
use JsonException;
use Stockade\Exception\StockadeException;
use Stockade\OffSale;
use Stockade\ShortLine;
use Stockade\UnusableHold;

/**
 * Converts a running engine's errors to exceptions.
 *
 * @internal
 */
final class Failures
{
    /** Seconds to wait before a retry, by code, as the engine says. */
    private const RETRY_AFTER = ['contention' => 1.0, 'unavailable' => 2.0];
    /** Codes of a server that did not pass the call on which are about the caller's request. */
    private const PASSED_ON = ['contention', 'unavailable', 'unauthorized'];

    /**
     * The exception of an engine's error.
     *
     * @param array<string, mixed> $error
     */
    public static function of(array $error): StockadeException
    {
        $short = Decoder::list(static fn (array $line): ShortLine => new ShortLine(
            $line['product_id'],
            Decoder::clamped($line['requested']),
            Decoder::clamped($line['available']),
            $line['sku'] ?? null
        ), $error['short'] ?? []);
        $holds = Decoder::list(static fn (array $hold): UnusableHold => new UnusableHold(
            $hold['hold_id'],
            $hold['code'],
            $hold['order_id'] ?? null
        ), $error['holds'] ?? []);
        [$offSale, $moment] = self::offSale($error['off_sale'] ?? null);
        return StockadeException::named(
            $error['code'],
            $error['message'],
            available: count($short) === 1 ? $short[0]->available : null,
            short: $short,
            orderId: $error['order_id'] ?? null,
            replayed: $error['replayed'] ?? false,
            retryAfter: self::RETRY_AFTER[$error['code']] ?? null,
            holds: $holds,
            productId: $error['product_id'] ?? null,
            offSale: $offSale,
            moment: $moment
        );
    }

    /** An error of the driver itself. */
    public static function make(string $code, string $message): StockadeException
    {
        return StockadeException::named($code, $message, retryAfter: self::RETRY_AFTER[$code] ?? null);
    }

    /** The exception of a server that did not pass a call to its engine. */
    public static function rejection(string $call, int $status, string $body): StockadeException
    {
        try {
            $problem = Json::decode($body);
        } catch (JsonException) {
            $problem = null;
        }
        $code = is_array($problem) && is_string($problem['code'] ?? null) ? $problem['code'] : '';
        $message = is_array($problem) && is_string($problem['message'] ?? null) ? $problem['message'] : '';
        return match (true) {
            in_array($code, self::PASSED_ON, true) => self::make($code, $message),
            $status === 408, $status === 502 => self::make('unavailable', "{$call} was answered with {$status}"),
            $status === 403 => self::make('unauthorized', $message),
            default => self::make(
                'internal',
                "{$call} was answered with {$status}; is that a server of this version?"
            ),
        };
    }

    /**
     * @param array<string, string>|string|null $why such as {"before": "2026-11-27T08:00:00.000000Z"}
     * @return array{?OffSale, ?DateTimeImmutable}
     */
    private static function offSale(array|string|null $why): array
    {
        if (!is_array($why)) {
            return [$why === null ? null : OffSale::tryFrom($why), null];
        }
        return [OffSale::tryFrom((string) array_key_first($why)), Decoder::moment(reset($why))];
    }
}
