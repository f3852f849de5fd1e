<?php

declare(strict_types=1);

namespace Stockade\Http;

use DateTimeImmutable;
use DateTimeZone;
use Stockade\AuditReport;
use Stockade\Cart;
use Stockade\Event;
use Stockade\EventKind;
use Stockade\Finding;
use Stockade\Hold;
use Stockade\HoldStatus;
use Stockade\Order;
use Stockade\OrderLine;
use Stockade\OrderStatus;
use Stockade\Outcome;
use Stockade\PaymentDisposition;
use Stockade\Product;
use Stockade\WaitingPayment;

/**
 * Converts parsed responses to objects. One that has another form fails with a
 * TypeError or a ValueError, which {@see Rpc} reports as internal.
 *
 * @internal
 */
final class Decoder
{
    /** @param array<string, mixed> $of */
    public static function product(array $of, bool $replayed = false): Product
    {
        return new Product(
            $of['id'],
            $of['name'],
            $of['price'],
            Currency::minor($of['price'], $of['currency']),
            $of['stock'],
            $of['held'],
            $of['pending'],
            $of['sold'],
            $of['version'],
            $of['returned'],
            $of['sku'] ?? null,
            $of['currency'],
            $of['in_stock'],
            $of['safety_stock'] ?? 0,
            self::moment($of['on_sale_from'] ?? null),
            self::moment($of['on_sale_until'] ?? null),
            $of['archived'] ?? false,
            $of['metadata'] ?? null,
            $replayed
        );
    }

    /** @param array<string, mixed> $of */
    public static function hold(array $of, bool $replayed = false): Hold
    {
        return new Hold(
            $of['id'],
            $of['product_id'],
            $of['quantity'],
            HoldStatus::from($of['status']),
            self::moment($of['expires_at']),
            self::moment($of['created_at']),
            $of['token'] ?? '',
            $replayed,
            $of['order_id'] ?? null,
            $of['cart_id'] ?? null,
            $of['sku'] ?? null,
            $of['customer'] ?? null,
            $of['metadata'] ?? null
        );
    }

    /** @param array<string, mixed> $of */
    public static function cart(array $of, bool $replayed = false): Cart
    {
        return new Cart($of['id'], $of['token'] ?? '', self::list(self::hold(...), $of['holds']), $replayed);
    }

    /** @param array<string, mixed> $of */
    public static function order(array $of, bool $replayed = false): Order
    {
        $currency = $of['currency'];
        $line = static fn (array $line): OrderLine => self::orderLine($line, $currency);
        $lines = self::list($line, $of['lines']);
        $only = count($lines) === 1 ? $lines[0] : null;
        return new Order(
            $of['id'],
            $only?->holdId,
            $only?->productId,
            $only?->quantity,
            OrderStatus::from($of['status']),
            $of['payment_token'] ?? '',
            PaymentDisposition::from($of['payment_disposition']),
            self::moment($of['created_at']),
            self::moment($of['updated_at']),
            $lines,
            $of['amount'],
            Currency::minor($of['amount'], $currency),
            $currency,
            $of['refunded_amount'],
            Currency::minor($of['refunded_amount'], $currency),
            self::moment($of['pay_until'] ?? null),
            $of['reference'] ?? null,
            $replayed,
            $of['customer'] ?? null,
            $of['metadata'] ?? null,
            $of['created_by'] ?? null
        );
    }

    /** @param array<string, mixed> $of */
    private static function orderLine(array $of, string $currency): OrderLine
    {
        return new OrderLine(
            $of['line'],
            $of['hold_id'],
            $of['product_id'],
            $of['sku'] ?? null,
            $of['quantity'],
            $of['price'],
            Currency::minor($of['price'], $currency),
            $of['refunded'],
            $of['returned']
        );
    }

    /** @param array<string, mixed> $of */
    public static function waitingPayment(array $of): WaitingPayment
    {
        return new WaitingPayment(
            $of['key'],
            $of['order_id'] ?? null,
            $of['by_token'],
            Outcome::from($of['outcome']),
            $of['amount'] ?? null,
            $of['currency'] ?? null,
            $of['payment_reference'] ?? null,
            self::moment($of['received_at']),
            self::moment($of['ends_at']),
            $of['order_reference'] ?? null
        );
    }

    /** @param array<string, mixed> $of */
    public static function event(array $of): Event
    {
        return new Event(
            $of['cursor'],
            EventKind::from($of['type']),
            $of['product_id'],
            $of['hold_id'] ?? null,
            $of['order_id'] ?? null,
            $of['quantity'],
            $of['version'],
            self::moment($of['at']),
            $of['sku'] ?? null,
            $of['customer'] ?? null,
            $of['reason'] ?? null,
            $of['metadata'] ?? null,
            $of['actor'] ?? null,
            $of['reference'] ?? null
        );
    }

    /** @param array<string, mixed> $of */
    public static function audit(array $of): AuditReport
    {
        $finding = static fn (array $of): Finding => new Finding($of['check'], $of['id'], $of['detail']);
        $units = array_map(self::clamped(...), $of['units']);
        return new AuditReport(
            $of['consistent'],
            $of['products'],
            $units['received'],
            $units['stock'],
            $units['held'],
            $units['pending'],
            $units['sold'],
            $of['waiting_events'],
            self::moment($of['oldest_waiting_event']),
            $of['products_due'],
            self::list($finding, $of['findings']),
            $units['returned']
        );
    }

    /**
     * @template T
     * @param callable(array<string, mixed>): T $make
     * @param list<array<string, mixed>> $items
     * @return list<T>
     */
    public static function list(callable $make, array $items): array
    {
        $read = [];
        foreach ($items as $item) {
            $read[] = $make($item);
        }
        return $read;
    }

    /** A moment in UTC; null for none. */
    public static function moment(?string $text): ?DateTimeImmutable
    {
        static $utc = new DateTimeZone('UTC');
        if ($text === null) {
            return null;
        }
        $moment = DateTimeImmutable::createFromFormat('Y-m-d\TH:i:s.u\Z', $text, $utc);
        return $moment === false ? throw new \ValueError('no moment') : $moment;
    }

    /** A number; the nearest one where 64 bits do not hold it. */
    public static function clamped(int|string $number): int
    {
        if (is_int($number)) {
            return $number;
        }
        return str_starts_with($number, '-') ? PHP_INT_MIN : PHP_INT_MAX;
    }
}
