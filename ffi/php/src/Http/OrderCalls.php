<?php

declare(strict_types=1);

namespace Stockade\Http;

use SensitiveParameter;
use Stockade\Cart;
use Stockade\Exception\InvalidArgument;
use Stockade\Input\Arguments;
use Stockade\Order;
use Stockade\Outcome;
use Stockade\PaymentReceipt;
use Stockade\PaymentStatus;

/**
 * A running engine's calls about orders and payments, documented in
 * {@see \Stockade\Client\OrderCalls}.
 */
trait OrderCalls
{
    public function createOrder(
        int|string|float|bool $holdId,
        int|string|float|bool $productId,
        ?string $key = null,
        #[SensitiveParameter] ?string $token = null,
        int|string|float|bool|null $amount = null,
        ?string $currency = null,
        ?string $reference = null,
        int|float|string|bool|null $paymentTtl = null,
        array|string|null $metadata = null,
    ): Order {
        $hold = [
            'hold_id' => Wire::id(Arguments::id('hold_id', $holdId)),
            'product' => Wire::product('product_id', $productId),
            'token' => Wire::token($token),
        ];
        $terms = self::terms($key, $amount, $currency, $reference, $paymentTtl, $metadata);
        return $this->askOrder('create_order', ['holds' => [$hold]] + $terms, $key);
    }

    public function createOrderOf(
        #[SensitiveParameter] Cart|iterable $holds,
        ?string $key = null,
        int|string|float|bool|null $amount = null,
        ?string $currency = null,
        ?string $reference = null,
        int|float|string|bool|null $paymentTtl = null,
        array|string|null $metadata = null,
    ): Order {
        $request = ['holds' => []];
        if ($holds instanceof Cart) {
            $request['cart_id'] = Wire::id($holds->id);
            $request['cart_token'] = Wire::token($holds->token === '' ? null : $holds->token);
        } else {
            foreach (Arguments::orderedHolds($holds) as [$holdId, $productId, $token]) {
                $request['holds'][] = [
                    'hold_id' => Wire::id($holdId),
                    'product' => Wire::optionalId($productId),
                    'token' => Wire::token($token),
                ];
            }
        }
        $terms = self::terms($key, $amount, $currency, $reference, $paymentTtl, $metadata);
        return $this->askOrder('create_order', $request + $terms, $key);
    }

    public function order(int|string|float|bool $id): Order
    {
        return $this->ask('order', ['id' => Wire::id(Arguments::id('id', $id))], false, Decoder::order(...));
    }

    public function orderByReference(string $reference): Order
    {
        $request = ['reference' => Wire::text('reference', $reference)];
        return $this->ask('order_by_reference', $request, false, Decoder::order(...));
    }

    public function orderByPayment(string $provider, string $reference): Order
    {
        return $this->ask('order_by_payment', [
            'provider' => Wire::text('provider', $provider),
            'reference' => Wire::text('reference', $reference),
        ], false, Decoder::order(...));
    }

    public function extendOrder(
        int|string|float|bool $orderId,
        int|float|string|bool|null $ttl = null,
    ): Order {
        return $this->ask('extend_order', [
            'ttl' => Wire::duration($ttl),
            'order_id' => Wire::id(Arguments::id('order_id', $orderId)),
        ], false, Decoder::order(...));
    }

    public function cancelOrder(int|string|float|bool $orderId, ?string $reason = null): Order
    {
        return $this->ask('cancel_order', [
            'order_id' => Wire::id(Arguments::id('order_id', $orderId)),
            'reason' => Wire::text('reason', $reason),
        ], false, Decoder::order(...));
    }

    public function refundOrder(
        int|string|float|bool $orderId,
        ?iterable $lines = null,
        int|string|float|bool|null $amount = null,
        bool $restock = false,
        bool $owed = false,
        ?string $reason = null,
        ?string $key = null,
    ): Order {
        return $this->askOrder('refund_order', [
            'order_id' => Wire::id(Arguments::id('order_id', $orderId)),
            'lines' => self::units($lines),
            'amount' => Wire::money('amount', $amount),
            'restock' => $restock,
            'owed' => $owed,
            'reason' => Wire::text('reason', $reason),
            'key' => Wire::text('key', $key),
        ], $key);
    }

    public function restockOrder(
        int|string|float|bool $orderId,
        ?iterable $lines = null,
        ?string $key = null,
    ): Order {
        return $this->askOrder('restock_order', [
            'order_id' => Wire::id(Arguments::id('order_id', $orderId)),
            'lines' => self::units($lines),
            'key' => Wire::text('key', $key),
        ], $key);
    }

    public function setPaymentReference(
        int|string|float|bool $orderId,
        string $provider,
        string $reference,
    ): Order {
        return $this->ask('set_payment_reference', [
            'order_id' => Wire::id(Arguments::id('order_id', $orderId)),
            'provider' => Wire::text('provider', $provider),
            'reference' => Wire::text('reference', $reference),
        ], false, Decoder::order(...));
    }

    public function recordPayment(
        string $status,
        int|string|float|bool|null $orderId = null,
        #[SensitiveParameter] ?string $paymentToken = null,
        ?string $key = null,
        int|string|float|bool|null $amount = null,
        ?string $currency = null,
        ?string $paymentReference = null,
        ?string $orderReference = null,
    ): PaymentReceipt {
        $names = [$orderId, $paymentToken, $orderReference, $paymentReference];
        if (array_filter($names, static fn (mixed $name): bool => $name !== null) === []) {
            throw InvalidArgument::because(
                'one of order_id, payment_token, order_reference and payment_reference is required'
            );
        }
        $event = [
            'order_id' => $orderId === null ? null : Wire::id(Arguments::id('order_id', $orderId)),
            'payment_token' => Wire::paymentToken($paymentToken),
            'outcome' => Outcome::fromStatus((string) Wire::text('status', $status))->value,
            'key' => Wire::text('key', $key),
            'amount' => Wire::money('amount', $amount),
            'currency' => Wire::currency($currency),
            'payment_reference' => Wire::text('payment_reference', $paymentReference),
            'order_reference' => Wire::text('order_reference', $orderReference),
        ];
        // An event without a key has one derived from its fields.
        return $this->askReplayable('record_payment', $event, false, static fn (array $of, bool $replayed)
            => new PaymentReceipt(PaymentStatus::from($of['status']), $replayed));
    }

    /**
     * What both requests for an order have.
     *
     * @param array<string, mixed>|string|null $metadata
     * @return array<string, mixed>
     */
    private static function terms(
        ?string $key,
        int|string|float|bool|null $amount,
        ?string $currency,
        ?string $reference,
        int|float|string|bool|null $paymentTtl,
        array|string|null $metadata,
    ): array {
        return [
            'key' => Wire::text('key', $key),
            'amount' => Wire::money('amount', $amount),
            'currency' => Wire::currency($currency),
            'reference' => Wire::text('reference', $reference),
            'payment_ttl' => Wire::duration($paymentTtl, 'paymentTtl'),
            'metadata' => Wire::metadata($metadata),
        ];
    }

    /**
     * The lines of a refund or a restock; none for all that is left.
     *
     * @param ?iterable<mixed> $lines
     * @return list<array{line: int, quantity: int}>
     */
    private static function units(?iterable $lines): array
    {
        $units = static fn (array $units): array => ['line' => $units[0], 'quantity' => $units[1]];
        return $lines === null ? [] : array_map($units, Arguments::units($lines));
    }

    /** @param array<string, mixed> $request */
    private function askOrder(string $name, #[SensitiveParameter] array $request, ?string $key): Order
    {
        return $this->askReplayable($name, $request, $key === null, Decoder::order(...));
    }
}
