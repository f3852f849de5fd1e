<?php

declare(strict_types=1);

namespace Stockade\Native;

use FFI;
use FFI\CData;
use SensitiveParameter;
use Stockade\Cart;
use Stockade\Hold;
use Stockade\Input\Arguments;
use Stockade\Order;
use Stockade\PaymentReceipt;
use Stockade\PaymentStatus;

/**
 * The library's calls about orders and payments, documented in {@see \Stockade\Client\OrderCalls}.
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
        $call = new Call($this->handle);
        $request = $call->struct('stockade_order_request');
        $request->hold_id = Arguments::id('hold_id', $holdId);
        $call->product($request, 'product_id', $productId);
        $request->token = $call->text('token', $token);
        self::terms($call, $request, $key, $amount, $currency, $reference, $paymentTtl, $metadata);
        return $this->askOrder($call, 'create_order', [FFI::addr($request)], true);
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

    public function order(int|string|float|bool $id): Order
    {
        return $this->askOrder(new Call($this->handle), 'order', [Arguments::id('id', $id)]);
    }

    public function orderByReference(string $reference): Order
    {
        $call = new Call($this->handle);
        return $this->askOrder($call, 'order_by_reference', [$call->text('reference', $reference)]);
    }

    public function orderByPayment(string $provider, string $reference): Order
    {
        $call = new Call($this->handle);
        $names = [$call->text('provider', $provider), $call->text('reference', $reference)];
        return $this->askOrder($call, 'order_by_payment', $names);
    }

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

    public function cancelOrder(int|string|float|bool $orderId, ?string $reason = null): Order
    {
        $call = new Call($this->handle);
        $arguments = [Arguments::id('order_id', $orderId), $call->text('reason', $reason)];
        return $this->askOrder($call, 'cancel_order', $arguments);
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
