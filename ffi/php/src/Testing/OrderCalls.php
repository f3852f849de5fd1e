<?php

declare(strict_types=1);

namespace Stockade\Testing;

use DateTimeImmutable;
use DateTimeZone;
use SensitiveParameter;
use Stockade\Cart;
use Stockade\Hold;
use Stockade\HoldStatus;
use Stockade\Input\Arguments;
use Stockade\Order;
use Stockade\OrderStatus;
use Stockade\Outcome;
use Stockade\PaymentReceipt;
use Stockade\PaymentStatus;

/**
 * A fake's calls about orders and payments, documented in {@see \Stockade\Client\OrderCalls}.
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
        return $this->play(__FUNCTION__, get_defined_vars(), fn (): Order => $this->ordered(
            [$this->shelf()->hold($holdId)],
            self::terms($amount, $currency, $reference, $metadata)
        ));
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
        $holds = $holds instanceof Cart ? $holds : [...$holds];
        return $this->play(__FUNCTION__, get_defined_vars(), fn (): Order => $this->ordered(
            array_map(
                fn (array $hold): Hold => $this->shelf()->hold($hold[0]),
                Arguments::orderedHolds($holds instanceof Cart ? $holds->holds : $holds)
            ),
            self::terms($amount, $currency, $reference, $metadata)
        ));
    }

    public function order(int|string|float|bool $id): Order
    {
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): Order => Make::with($this->shelf()->order($id), paymentToken: '')
        );
    }

    public function orderByReference(string $reference): Order
    {
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): Order => Make::with($this->shelf()->orderWith('reference', $reference), paymentToken: '')
        );
    }

    public function orderByPayment(string $provider, string $reference): Order
    {
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): Order => throw Shelf::none("order of the payment {$provider}/{$reference}")
        );
    }

    public function extendOrder(
        int|string|float|bool $orderId,
        int|float|string|bool|null $ttl = null,
    ): Order {
        return $this->play(__FUNCTION__, get_defined_vars(), fn (): Order => $this->changedOrder(
            $this->shelf()->order($orderId),
            payUntil: (new DateTimeImmutable('now', new DateTimeZone('UTC')))
                ->modify('+' . intdiv(Arguments::ttl($ttl) ?? 1_800_000_000, 1_000) . ' milliseconds')
        ));
    }

    public function cancelOrder(int|string|float|bool $orderId, ?string $reason = null): Order
    {
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): Order => $this->changedOrder($this->shelf()->order($orderId), status: OrderStatus::Cancelled)
        );
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
        $lines = $lines === null ? null : [...$lines];
        return $this->play(__FUNCTION__, get_defined_vars(), fn (): Order => $this->refunded(
            $this->shelf()->order($orderId),
            $lines === null ? null : Arguments::units($lines),
            Arguments::amount($amount)
        ));
    }

    public function restockOrder(
        int|string|float|bool $orderId,
        ?iterable $lines = null,
        ?string $key = null,
    ): Order {
        $lines = $lines === null ? null : [...$lines];
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): Order => $this->changedOrder($this->shelf()->order($orderId))
        );
    }

    public function setPaymentReference(
        int|string|float|bool $orderId,
        string $provider,
        string $reference,
    ): Order {
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): Order => $this->changedOrder($this->shelf()->order($orderId))
        );
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
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): PaymentReceipt => $this->paid(Outcome::fromStatus($status), $orderId, $paymentToken, $orderReference)
        );
    }

    /**
     * @param list<Hold> $holds
     * @param array<string, mixed> $terms
     */
    private function ordered(array $holds, array $terms): Order
    {
        $lines = [];
        foreach ($holds as $at => $hold) {
            $product = $this->shelf()->findProduct($hold->productId);
            $lines[] = Make::orderLine(...[
                'line' => $at + 1,
                'holdId' => $hold->id,
                'productId' => $hold->productId,
                'sku' => $hold->sku,
                'quantity' => $hold->quantity,
                'price' => $product?->price ?? '10',
                'priceMinor' => $product?->priceMinor ?? 1_000,
            ]);
        }
        if ($lines === []) {
            throw Make::error('invalid_argument', 'an order has at least one hold');
        }
        $order = $this->shelf()->put(Make::order(
            ...($terms + ['lines' => $lines, 'customer' => $holds[0]->customer, 'createdBy' => $this->actor])
        ));
        foreach ($holds as $hold) {
            $this->shelf()->put(Make::with($hold, status: HoldStatus::Converted, orderId: $order->id));
        }
        return $order;
    }

    /**
     * @param array<string, mixed>|string|null $metadata
     * @return array<string, mixed>
     */
    private static function terms(
        int|string|float|bool|null $amount,
        ?string $currency,
        ?string $reference,
        array|string|null $metadata,
    ): array {
        $terms = [
            'amount' => Arguments::amount($amount),
            'currency' => $currency,
            'reference' => $reference,
            'metadata' => self::metadata($metadata),
        ];
        return array_filter($terms, static fn (mixed $term): bool => $term !== null);
    }

    private function changedOrder(Order $order, mixed ...$fields): Order
    {
        return Make::with($this->shelf()->put(Make::with($order, ...$fields)), paymentToken: '');
    }

    /** @param ?list<array{int, int}> $lines */
    private function refunded(Order $order, ?array $lines, ?string $amount): Order
    {
        $isWhole = $lines === null && ($amount === null || $amount === $order->amount);
        return $this->changedOrder(
            $order,
            status: $isWhole ? OrderStatus::Refunded : OrderStatus::PartiallyRefunded,
            refundedAmount: $isWhole ? $order->amount : $amount ?? '0'
        );
    }

    private function paid(
        Outcome $outcome,
        int|string|float|bool|null $orderId,
        ?string $paymentToken,
        ?string $orderReference,
    ): PaymentReceipt {
        $order = match (true) {
            $orderId !== null => $this->shelf()->orders[Arguments::id('order_id', $orderId)] ?? null,
            default => array_values(array_filter($this->shelf()->orders, static fn (Order $order): bool
                => in_array($paymentToken, [$order->paymentToken], true)
                    || ($orderReference !== null && $order->reference === $orderReference)))[0] ?? null,
        };
        $status = match ($outcome) {
            Outcome::Success => OrderStatus::Paid,
            Outcome::Failure, Outcome::Cancelled => OrderStatus::Cancelled,
            default => null,
        };
        if ($order !== null && $status !== null) {
            $this->shelf()->put(Make::with($order, status: $status));
        }
        $applied = $status === null ? PaymentStatus::Recorded : PaymentStatus::Applied;
        return new PaymentReceipt($order === null ? PaymentStatus::Waiting : $applied, false);
    }
}
