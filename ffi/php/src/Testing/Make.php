<?php

declare(strict_types=1);

namespace Stockade\Testing;

use DateTimeImmutable;
use DateTimeZone;
use Stockade\Event;
use Stockade\EventKind;
use Stockade\Exception\StockadeException;
use Stockade\Hold;
use Stockade\HoldStatus;
use Stockade\Http\Currency;
use Stockade\Order;
use Stockade\OrderLine;
use Stockade\OrderStatus;
use Stockade\PaymentDisposition;
use Stockade\Product;

/**
 * Makes the values that a test tells a {@see FakeClient} to answer: every field has a
 * default, and those that are named override it.
 *
 *     Make::hold(productId: 7, quantity: 2);
 *     Make::error('insufficient_stock', available: 1);
 */
final class Make
{
    private static int $lastId = 0;

    private function __construct()
    {
    }

    /**
     * A product of 100 units at 10.00 EUR.
     *
     * @param mixed ...$fields of {@see Product}, by name
     */
    public static function product(mixed ...$fields): Product
    {
        $stock = $fields['inStock'] ?? $fields['stock'] ?? 100;
        $currency = $fields['currency'] ?? 'EUR';
        return new Product(...($fields + [
            'id' => ++self::$lastId,
            'name' => 'A product',
            'price' => '10',
            'priceMinor' => Currency::minor($fields['price'] ?? '10', $currency),
            'stock' => $stock,
            'held' => 0,
            'pending' => 0,
            'sold' => 0,
            'version' => 1,
            'returned' => 0,
            'sku' => null,
            'currency' => $currency,
            'inStock' => $stock,
            'safetyStock' => 0,
            'onSaleFrom' => null,
            'onSaleUntil' => null,
            'archived' => false,
            'metadata' => null,
        ]));
    }

    /**
     * An active hold of one unit of product 1, which ends in 120 seconds.
     *
     * @param mixed ...$fields of {@see Hold}, by name
     */
    public static function hold(mixed ...$fields): Hold
    {
        return new Hold(...($fields + [
            'id' => ++self::$lastId,
            'productId' => 1,
            'quantity' => 1,
            'status' => HoldStatus::Active,
            'expiresAt' => self::now()->modify('+120 seconds'),
            'createdAt' => self::now(),
            'token' => bin2hex(random_bytes(16)),
            'replayed' => false,
        ]));
    }

    /**
     * An unpaid order with one line of one unit at 10.00 EUR.
     *
     * @param mixed ...$fields of {@see Order}, by name
     */
    public static function order(mixed ...$fields): Order
    {
        $id = $fields['id'] ?? ++self::$lastId;
        $lines = $fields['lines'] ?? [self::orderLine()];
        $only = count($lines) === 1 ? $lines[0] : null;
        $minor = array_sum(array_map(static fn (OrderLine $line): int => $line->priceMinor * $line->quantity, $lines));
        return new Order(...($fields + [
            'id' => $id,
            'holdId' => $only?->holdId,
            'productId' => $only?->productId,
            'quantity' => $only?->quantity,
            'status' => OrderStatus::PendingPayment,
            'paymentToken' => "pt_{$id}_" . bin2hex(random_bytes(16)),
            'paymentDisposition' => PaymentDisposition::None,
            'createdAt' => self::now(),
            'updatedAt' => self::now(),
            'lines' => $lines,
            'amount' => sprintf('%d.%02d', intdiv($minor, 100), $minor % 100),
            'amountMinor' => $minor,
            'currency' => 'EUR',
            'refundedAmount' => '0',
            'refundedMinor' => 0,
            'payUntil' => self::now()->modify('+30 minutes'),
            'reference' => null,
            'replayed' => false,
        ]));
    }

    /**
     * A line of one unit at 10.00.
     *
     * @param mixed ...$fields of {@see OrderLine}, by name
     */
    public static function orderLine(mixed ...$fields): OrderLine
    {
        return new OrderLine(...($fields + [
            'line' => 1,
            'holdId' => $fields['holdId'] ?? ++self::$lastId,
            'productId' => 1,
            'sku' => null,
            'quantity' => 1,
            'price' => '10',
            'priceMinor' => Currency::minor($fields['price'] ?? '10', 'EUR'),
            'refunded' => 0,
            'returned' => 0,
        ]));
    }

    /**
     * An event of product 1, as {@see \Stockade\Client::eventsAfter()} returns it.
     *
     * @param EventKind|string $kind such as 'order.paid'
     * @param mixed ...$fields of {@see Event}, by name
     */
    public static function event(EventKind|string $kind, mixed ...$fields): Event
    {
        return new Event(...($fields + [
            'cursor' => ++self::$lastId,
            'kind' => $kind instanceof EventKind ? $kind : EventKind::from($kind),
            'productId' => 1,
            'holdId' => null,
            'orderId' => null,
            'quantity' => 1,
            'version' => 1,
            'at' => self::now(),
        ]));
    }

    /**
     * The exception of a code's name, such as "insufficient_stock".
     *
     * @param mixed ...$details of {@see StockadeException}, by name, such as available: 1
     */
    public static function error(string $code, string $message = 'told to fail', mixed ...$details): StockadeException
    {
        return StockadeException::named($code, $message, ...$details);
    }

    /**
     * The same value with other fields.
     *
     * @template T of object
     * @param T $value
     * @return T
     */
    public static function with(object $value, mixed ...$fields): object
    {
        return new ($value::class)(...($fields + get_object_vars($value)));
    }

    private static function now(): DateTimeImmutable
    {
        return new DateTimeImmutable('now', new DateTimeZone('UTC'));
    }
}
