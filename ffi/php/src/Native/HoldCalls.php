<?php

declare(strict_types=1);

namespace Stockade\Native;

use FFI;
use FFI\CData;
use SensitiveParameter;
use Stockade\Cart;
use Stockade\Hold;
use Stockade\HoldRequest;
use Stockade\HoldResult;
use Stockade\Input\Arguments;

/**
 * The library's calls about holds, documented in {@see \Stockade\Client\HoldCalls}.
 */
trait HoldCalls
{
    public function createHold(
        int|string|float|bool $productId,
        int|string|float|bool $quantity,
        int|float|string|bool|null $ttl = null,
        ?string $key = null,
        ?string $customer = null,
        bool $atMost = false,
        array|string|null $metadata = null,
    ): Hold {
        $life = Arguments::ttl($ttl);
        $call = new Call($this->handle);
        $request = $call->struct('stockade_hold_request');
        $call->product($request, 'product_id', $productId);
        $request->quantity = Arguments::quantity($quantity);
        [$request->has_ttl, $request->ttl_us] = [$life === null ? 0 : 1, $life ?? 0];
        $request->key = $call->text('key', $key);
        $request->customer = $call->text('customer', $customer);
        $request->at_most = (int) $atMost;
        $request->metadata = $call->text('metadata', Arguments::metadata($metadata));
        $hold = $call->struct('stockade_hold');
        $call->check($call->ffi->stockade_engine_create_hold(
            $call->engine,
            FFI::addr($request),
            FFI::addr($hold),
            $call->replayedOut(),
            $call->errorOut
        ));
        return (new Reader($call))->hold($hold, $call->replayed());
    }

    public function createHolds(
        iterable $lines,
        int|float|string|bool|null $ttl = null,
        ?string $key = null,
        ?string $customer = null,
        array|string|null $metadata = null,
    ): Cart {
        $life = Arguments::ttl($ttl);
        $read = Arguments::lines($lines);
        $call = new Call($this->handle);
        $count = count($read);
        $array = $call->array('stockade_cart_line', $count);
        foreach ($read as $index => [[$productId, $sku], $quantity, $atMost]) {
            $array[$index]->product_id = $productId;
            $array[$index]->sku = $call->text('sku', $sku);
            $array[$index]->quantity = $quantity;
            $array[$index]->at_most = (int) $atMost;
        }
        $request = $call->struct('stockade_cart_request');
        $request->lines = FFI::addr($array[0]);
        $request->line_count = $count;
        [$request->has_ttl, $request->ttl_us] = [$life === null ? 0 : 1, $life ?? 0];
        $request->key = $call->text('key', $key);
        $request->customer = $call->text('customer', $customer);
        $request->metadata = $call->text('metadata', Arguments::metadata($metadata));
        return $this->askCart($call, 'create_holds', [FFI::addr($request)], true);
    }

    public function createHoldBatch(iterable $requests): array
    {
        $read = Arguments::holdRequests($requests);
        $call = new Call($this->handle);
        $valid = array_values(array_filter($read, is_array(...)));
        $count = count($valid);
        $array = $call->array('stockade_hold_request', $count);
        $size = FFI::sizeof($array[0]);
        foreach ($valid as $index => [[$productId, $sku], $quantity, $life, $key, $customer, $atMost, $metadata]) {
            $request = $array[$index];
            $request->struct_size = $size;
            $request->product_id = $productId;
            $request->sku = $call->text('sku', $sku);
            $request->quantity = $quantity;
            [$request->has_ttl, $request->ttl_us] = [$life === null ? 0 : 1, $life ?? 0];
            $request->key = $call->text('key', $key);
            $request->customer = $call->text('customer', $customer);
            $request->at_most = (int) $atMost;
            $request->metadata = $call->text('metadata', $metadata);
        }
        $results = $call->make('stockade_hold_results *');
        $call->check($call->ffi->stockade_engine_create_hold_batch(
            $call->engine,
            FFI::addr($array[0]),
            $count,
            FFI::addr($results),
            $call->errorOut
        ));
        try {
            $made = (new Reader($call))->holdResults($results);
        } finally {
            $call->ffi->stockade_hold_results_free($results);
        }
        $all = [];
        $next = 0;
        foreach ($read as $request) {
            $all[] = is_array($request) ? $made[$next++] : HoldResult::refused($request);
        }
        return $all;
    }

    public function releaseHold(
        int|string|float|bool $holdId,
        #[SensitiveParameter] ?string $token = null,
    ): Hold {
        $call = new Call($this->handle);
        $request = $call->struct('stockade_release_request');
        $request->hold_id = Arguments::id('hold_id', $holdId);
        $request->token = $call->text('token', $token);
        return $this->askHold($call, 'release_hold_with', [FFI::addr($request)]);
    }

    public function extendHold(
        int|string|float|bool $holdId,
        int|float|string|bool|null $ttl = null,
        #[SensitiveParameter] ?string $token = null,
    ): Hold {
        $life = Arguments::ttl($ttl);
        $call = new Call($this->handle);
        $request = $call->struct('stockade_extend_request');
        $request->hold_id = Arguments::id('hold_id', $holdId);
        [$request->has_ttl, $request->ttl_us] = [$life === null ? 0 : 1, $life ?? 0];
        $request->token = $call->text('token', $token);
        return $this->askHold($call, 'extend_hold', [FFI::addr($request)]);
    }

    public function changeQuantity(
        int|string|float|bool $holdId,
        int|string|float|bool $quantity,
        ?string $key = null,
        #[SensitiveParameter] ?string $token = null,
    ): Hold {
        $call = new Call($this->handle);
        $request = $call->struct('stockade_quantity_request');
        $request->hold_id = Arguments::id('hold_id', $holdId);
        $request->quantity = Arguments::quantity($quantity);
        $request->key = $call->text('key', $key);
        $request->token = $call->text('token', $token);
        return $this->askHold($call, 'change_quantity', [FFI::addr($request)], true);
    }

    public function cart(int|string|float|bool $id): Cart
    {
        $call = new Call($this->handle);
        return $this->askCart($call, 'cart', [Arguments::id('id', $id)]);
    }

    public function releaseCart(
        int|string|float|bool $cartId,
        #[SensitiveParameter] ?string $token = null,
    ): Cart {
        $call = new Call($this->handle);
        $request = $call->struct('stockade_release_cart_request');
        $request->cart_id = Arguments::id('cart_id', $cartId);
        $request->token = $call->text('token', $token);
        return $this->askCart($call, 'release_cart', [FFI::addr($request)]);
    }

    public function extendCart(
        int|string|float|bool $cartId,
        int|float|string|bool|null $ttl = null,
        #[SensitiveParameter] ?string $token = null,
    ): Cart {
        $life = Arguments::ttl($ttl);
        $call = new Call($this->handle);
        $request = $call->struct('stockade_extend_cart_request');
        $request->cart_id = Arguments::id('cart_id', $cartId);
        [$request->has_ttl, $request->ttl_us] = [$life === null ? 0 : 1, $life ?? 0];
        $request->token = $call->text('token', $token);
        return $this->askCart($call, 'extend_cart', [FFI::addr($request)]);
    }

    /**
     * Makes a call that returns a hold.
     *
     * @param list<CData|int|null> $arguments between the engine and the out-pointers
     */
    private function askHold(Call $call, string $function, array $arguments, bool $isKeyed = false): Hold
    {
        $hold = $call->struct('stockade_hold');
        $call->ask($function, [...$arguments, FFI::addr($hold)], $isKeyed);
        return (new Reader($call))->hold($hold, $call->replayed());
    }

    /**
     * Makes a call that returns a cart.
     *
     * @param list<CData|int|null> $arguments between the engine and the out-pointers
     */
    private function askCart(Call $call, string $function, array $arguments, bool $isKeyed = false): Cart
    {
        $holds = $call->make('stockade_holds *');
        $call->ask($function, [...$arguments, FFI::addr($holds)], $isKeyed);
        try {
            return (new Reader($call))->cart($holds, $call->replayed());
        } finally {
            $call->ffi->stockade_holds_free($holds);
        }
    }

    public function hold(int|string|float|bool $id): Hold
    {
        $call = new Call($this->handle);
        return $this->askHold($call, 'hold', [Arguments::id('id', $id)]);
    }
}
