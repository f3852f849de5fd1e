<?php

declare(strict_types=1);

namespace Stockade\Native;

use FFI;
use FFI\CData;
use SensitiveParameter;
use Stockade\Cart;
use Stockade\Hold;
use Stockade\Order;
use Stockade\PaymentReceipt;
use Stockade\PaymentStatus;

/**
 * The engine's calls about orders and payments.
 *
 * Amounts are exact decimals such as "19.99", or whole numbers. Metadata is an array, or
 * the text of a JSON object, which is kept as it comes.
 */
trait OrderCalls
{
    /**
     * Turns an active hold into an order.
     *
     * @param int|string|float|bool $productId the product that the caller expects: its id, or "sku:" and its SKU
     * @param ?string $token as in releaseHold()
     * @param int|string|float|bool|null $amount the amount to pay, with shipping and
     *     coupons for example; null for the sum of the lines
     * @param ?string $currency the currency that the products must have
     * @param ?string $reference the shop's own number of the order; no two orders have the same
     * @param int|float|string|bool|null $paymentTtl how many seconds it may stay unpaid
     * @param array<string, mixed>|string|null $metadata what the shop keeps with the order
     */
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
        $call = new Call($this->handle);
        $request = $call->struct('stockade_order_request');
        $request->hold_id = Arguments::id('hold_id', $holdId);
        $call->product($request, 'product_id', $productId);
        $request->token = $call->text('token', $token);
        self::terms($call, $request, $key, $amount, $currency, $reference, $paymentTtl, $metadata);
        return $this->askOrder($call, 'create_order', [FFI::addr($request)], true);
    }

    /**
     * Turns active holds into one order, all or none.
     *
     * @param Cart|iterable<Hold|int|string|array{0: int|string, 1: ?string}> $holds a cart,
     *     all of whose holds that were not released become the lines; or holds, their ids,
     *     or pairs of id and token, which become the lines in this order
     * @param int|string|float|bool|null $amount as in createOrder(), and what follows
     */
    public function createOrderOf(
        #[SensitiveParameter] Cart|iterable $holds,
        ?string $key = null,
        int|string|float|bool|null $amount = null,
        ?string $currency = null,
        ?string $reference = null,
        int|float|string|bool|null $paymentTtl = null,
        array|string|null $metadata = null,
    ): Order {
        $read = $holds instanceof Cart ? [] : Arguments::orderedHolds($holds);
        $call = new Call($this->handle);
        $request = $call->struct('stockade_order_request');
        if ($holds instanceof Cart) {
            $request->cart_id = $holds->id;
            $request->token = $call->text('token', $holds->token === '' ? null : $holds->token);
        } else {
            $array = $call->array('stockade_ordered_hold', count($read));
            foreach ($read as $index => [$holdId, $productId, $token]) {
                $array[$index]->hold_id = $holdId;
                $array[$index]->product_id = $productId;
                $array[$index]->token = $call->text('token', $token);
            }
            $request->holds = FFI::addr($array[0]);
            $request->hold_count = count($read);
        }
        self::terms($call, $request, $key, $amount, $currency, $reference, $paymentTtl, $metadata);
        return $this->askOrder($call, 'create_order', [FFI::addr($request)], true);
    }

    /** Reads the current state of an order. */
    public function order(int|string|float|bool $id): Order
    {
        return $this->askOrder(new Call($this->handle), 'order', [Arguments::id('id', $id)]);
    }

    /** Finds the order with the shop's own number. */
    public function orderByReference(string $reference): Order
    {
        $call = new Call($this->handle);
        return $this->askOrder($call, 'order_by_reference', [$call->text('reference', $reference)]);
    }

    /** Finds the order to which a provider's name of a payment is tied. */
    public function orderByPayment(string $provider, string $reference): Order
    {
        $call = new Call($this->handle);
        $names = [$call->text('provider', $provider), $call->text('reference', $reference)];
        return $this->askOrder($call, 'order_by_payment', $names);
    }

    /** Lets a pending order be paid until $ttl seconds from now; never shortens it. */
    public function extendOrder(
        int|string|float|bool $orderId,
        int|float|string|bool|null $ttl = null,
    ): Order {
        $life = Arguments::ttl($ttl);
        $call = new Call($this->handle);
        $request = $call->struct('stockade_order_extension');
        $request->order_id = Arguments::id('order_id', $orderId);
        [$request->has_ttl, $request->ttl_us] = [$life === null ? 0 : 1, $life ?? 0];
        return $this->askOrder($call, 'extend_order', [FFI::addr($request)]);
    }

    /**
     * Cancels a pending order for good and returns its units to stock. Money that comes
     * later must be refunded. One that is cancelled already is not changed.
     */
    public function cancelOrder(int|string|float|bool $orderId, ?string $reason = null): Order
    {
        $call = new Call($this->handle);
        $arguments = [Arguments::id('order_id', $orderId), $call->text('reason', $reason)];
        return $this->askOrder($call, 'cancel_order', $arguments);
    }

    /**
     * Refunds a paid order: money, units, or both. Without $lines and $amount: all that is
     * left of both.
     *
     * @param ?iterable<array{0: int|string, 1: int|string}> $lines number and quantity of
     *     each line: the units to give back, and their price unless there is an amount
     * @param int|string|float|bool|null $amount the money to give back; without lines it
     *     moves no unit
     * @param bool $restock whether the units are for sale again; otherwise they count as returned
     * @param bool $owed settles money that must be refunded (needs_refund), and nothing else
     */
    public function refundOrder(
        int|string|float|bool $orderId,
        ?iterable $lines = null,
        int|string|float|bool|null $amount = null,
        bool $restock = false,
        bool $owed = false,
        ?string $reason = null,
        ?string $key = null,
    ): Order {
        $call = new Call($this->handle);
        $request = $call->struct('stockade_refund_request');
        $request->order_id = Arguments::id('order_id', $orderId);
        self::units($call, $request, $lines);
        $request->amount = $call->text('amount', Arguments::amount($amount));
        [$request->restock, $request->owed] = [(int) $restock, (int) $owed];
        $request->reason = $call->text('reason', $reason);
        $request->key = $call->text('key', $key);
        return $this->askOrder($call, 'refund_order', [FFI::addr($request)], true);
    }

    /**
     * Sells returned units of a refunded order again.
     *
     * @param ?iterable<array{0: int|string, 1: int|string}> $lines as in refundOrder();
     *     null for all units that are returned
     */
    public function restockOrder(
        int|string|float|bool $orderId,
        ?iterable $lines = null,
        ?string $key = null,
    ): Order {
        $call = new Call($this->handle);
        $request = $call->struct('stockade_restock_request');
        $request->order_id = Arguments::id('order_id', $orderId);
        self::units($call, $request, $lines);
        $request->key = $call->text('key', $key);
        return $this->askOrder($call, 'restock_order', [FFI::addr($request)], true);
    }

    /** Ties a provider's own name of a payment, such as "pi_3N", to an order. */
    public function setPaymentReference(
        int|string|float|bool $orderId,
        string $provider,
        string $reference,
    ): Order {
        $call = new Call($this->handle);
        return $this->askOrder($call, 'set_payment_reference', [
            Arguments::id('order_id', $orderId),
            $call->text('provider', $provider),
            $call->text('reference', $reference),
        ]);
    }

    /**
     * Applies a payment provider's event to its order, once per key however often it is
     * delivered. The order is named by its id, its payment token, or both; else it is the
     * one to which $paymentReference is tied, otherwise the one with $orderReference. The
     * event waits for an order that is not known yet.
     *
     * @param string $status the provider's status: success, paid, failed, cancelled, disputed, …
     * @param ?string $key the event's idempotency key: one that is reused for another
     *     order, outcome or amount is rejected
     * @param int|string|float|bool|null $amount the amount paid: a success with another
     *     amount than the order's does not pay it
     * @param ?string $currency the currency of the amount; null for the order's
     * @param ?string $paymentReference the provider's own name of the payment: a success of
     *     another payment than the one that paid the order must be refunded
     * @param ?string $orderReference the shop's own number of the order
     */
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
        $call = new Call($this->handle);
        $event = $call->struct('stockade_payment_event');
        $event->has_order_id = $orderId === null ? 0 : 1;
        $event->order_id = $orderId === null ? 0 : Arguments::id('order_id', $orderId);
        $event->payment_token = $call->text('payment_token', $paymentToken);
        $event->status = $call->text('status', $status);
        $event->key = $call->text('key', $key);
        $event->amount = $call->text('amount', Arguments::amount($amount));
        $event->currency = $call->text('currency', $currency);
        $event->payment_reference = $call->text('payment_reference', $paymentReference);
        $event->order_reference = $call->text('order_reference', $orderReference);
        $written = $call->make('stockade_payment_status');
        $call->check($call->ffi->stockade_engine_record_payment(
            $call->engine,
            FFI::addr($event),
            FFI::addr($written),
            $call->replayedOut(),
            $call->errorOut
        ));
        $word = $call->ffi->stockade_payment_status_name($written->cdata);
        return new PaymentReceipt(PaymentStatus::from($word), $call->replayed());
    }

    /**
     * Sets what both requests for an order have.
     *
     * @param array<string, mixed>|string|null $metadata
     */
    private static function terms(
        Call $call,
        CData $request,
        ?string $key,
        int|string|float|bool|null $amount,
        ?string $currency,
        ?string $reference,
        int|float|string|bool|null $paymentTtl,
        array|string|null $metadata,
    ): void {
        $life = Arguments::ttl($paymentTtl, 'paymentTtl');
        $request->key = $call->text('key', $key);
        $request->amount = $call->text('amount', Arguments::amount($amount));
        $request->currency = $call->text('currency', $currency);
        $request->reference = $call->text('reference', $reference);
        $request->metadata = $call->text('metadata', Arguments::metadata($metadata));
        [$request->has_payment_ttl, $request->payment_ttl_us] = [$life === null ? 0 : 1, $life ?? 0];
    }

    /**
     * Sets the lines of a refund or a restock.
     *
     * @param ?iterable<mixed> $lines
     */
    private static function units(Call $call, CData $request, ?iterable $lines): void
    {
        if ($lines === null) {
            return;
        }
        $read = Arguments::units($lines);
        $count = count($read);
        $array = $call->array('stockade_line_units', $count);
        foreach ($read as $index => [$line, $quantity]) {
            $array[$index]->line = $line;
            $array[$index]->quantity = $quantity;
        }
        [$request->lines, $request->line_count] = [FFI::addr($array[0]), $count];
    }

    /**
     * Makes a call that returns an order.
     *
     * @param list<CData|int|null> $arguments between the engine and the out-pointers
     */
    private function askOrder(Call $call, string $function, array $arguments, bool $isKeyed = false): Order
    {
        $order = $call->struct('stockade_order');
        $lines = $call->make('stockade_order_lines *');
        $call->ask($function, [...$arguments, FFI::addr($order), FFI::addr($lines)], $isKeyed);
        try {
            return (new Reader($call))->order($order, $lines, $call->replayed());
        } finally {
            $call->ffi->stockade_order_lines_free($lines);
        }
    }
}
