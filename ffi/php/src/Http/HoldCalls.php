<?php

declare(strict_types=1);

namespace Stockade\Http;

use SensitiveParameter;
use Stockade\Cart;
use Stockade\Exception\StockadeException;
use Stockade\Hold;
use Stockade\HoldRequest;
use Stockade\HoldResult;
use Stockade\Input\Arguments;

/**
 * A running engine's calls about holds, documented in {@see \Stockade\Client\HoldCalls}.
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
        $request = self::holdRequest($productId, $quantity, $ttl, $key, $customer, $atMost, $metadata);
        return $this->askReplayable('create_hold', $request, $key === null, Decoder::hold(...));
    }

    public function createHolds(
        iterable $lines,
        int|float|string|bool|null $ttl = null,
        ?string $key = null,
        ?string $customer = null,
        array|string|null $metadata = null,
    ): Cart {
        $items = [];
        foreach (Arguments::lines($lines) as [[$id, $sku], $quantity, $atMost]) {
            $product = $sku === null ? Wire::id($id) : Wire::text('sku', $sku);
            $items[] = ['product' => $product, 'quantity' => $quantity, 'at_most' => $atMost];
        }
        return $this->askReplayable('create_holds', [
            'items' => $items,
            'ttl' => Wire::duration($ttl),
            'key' => Wire::text('key', $key),
            'customer' => Wire::text('customer', $customer),
            'metadata' => Wire::metadata($metadata),
        ], $key === null, Decoder::cart(...));
    }

    public function createHoldBatch(iterable $requests): array
    {
        $read = Arguments::requests($requests, HoldRequest::class);
        $this->rpc->checkOpen();
        return Batch::send(
            $read,
            static fn (HoldRequest $one): array => self::holdRequest(
                $one->productId,
                $one->quantity,
                $one->ttl,
                $one->key,
                $one->customer,
                $one->atMost,
                $one->metadata
            ),
            fn (array $part): array => $this->ask(
                'create_hold_batch',
                ['requests' => $part],
                true,
                static fn (array $of): array => Decoder::list(self::holdResult(...), $of)
            ),
            static fn (StockadeException $error): HoldResult => HoldResult::refused($error)
        );
    }

    public function releaseHold(
        int|string|float|bool $holdId,
        #[SensitiveParameter] ?string $token = null,
    ): Hold {
        $request = ['hold_id' => Wire::id(Arguments::id('hold_id', $holdId)), 'token' => Wire::token($token)];
        return $this->ask('release_hold', $request, false, Decoder::hold(...));
    }

    public function extendHold(
        int|string|float|bool $holdId,
        int|float|string|bool|null $ttl = null,
        #[SensitiveParameter] ?string $token = null,
    ): Hold {
        return $this->ask('extend_hold', [
            'ttl' => Wire::duration($ttl),
            'hold_id' => Wire::id(Arguments::id('hold_id', $holdId)),
            'token' => Wire::token($token),
        ], false, Decoder::hold(...));
    }

    public function changeQuantity(
        int|string|float|bool $holdId,
        int|string|float|bool $quantity,
        ?string $key = null,
        #[SensitiveParameter] ?string $token = null,
    ): Hold {
        return $this->askReplayable('change_quantity', [
            'hold_id' => Wire::id(Arguments::id('hold_id', $holdId)),
            'quantity' => Arguments::quantity($quantity),
            'key' => Wire::text('key', $key),
            'token' => Wire::token($token),
        ], $key === null, Decoder::hold(...));
    }

    public function cart(int|string|float|bool $id): Cart
    {
        return $this->ask('cart', ['id' => Wire::id(Arguments::id('id', $id))], false, Decoder::cart(...));
    }

    public function releaseCart(
        int|string|float|bool $cartId,
        #[SensitiveParameter] ?string $token = null,
    ): Cart {
        $request = ['cart_id' => Wire::id(Arguments::id('cart_id', $cartId)), 'token' => Wire::token($token)];
        return $this->ask('release_cart', $request, false, Decoder::cart(...));
    }

    public function extendCart(
        int|string|float|bool $cartId,
        int|float|string|bool|null $ttl = null,
        #[SensitiveParameter] ?string $token = null,
    ): Cart {
        return $this->ask('extend_cart', [
            'ttl' => Wire::duration($ttl),
            'cart_id' => Wire::id(Arguments::id('cart_id', $cartId)),
            'token' => Wire::token($token),
        ], false, Decoder::cart(...));
    }

    public function hold(int|string|float|bool $id): Hold
    {
        return $this->ask('hold', ['id' => Wire::id(Arguments::id('id', $id))], false, Decoder::hold(...));
    }

    /**
     * @param array<string, mixed>|string|null $metadata
     * @return array<string, mixed>
     */
    private static function holdRequest(
        int|string|float|bool $productId,
        int|string|float|bool $quantity,
        int|float|string|bool|null $ttl,
        ?string $key,
        ?string $customer,
        bool $atMost,
        array|string|null $metadata,
    ): array {
        return [
            'ttl' => Wire::duration($ttl),
            'product' => Wire::product('product_id', $productId),
            'quantity' => Arguments::quantity($quantity),
            'key' => Wire::text('key', $key),
            'customer' => Wire::text('customer', $customer),
            'at_most' => $atMost,
            'metadata' => Wire::metadata($metadata),
        ];
    }

    /** @param array<string, mixed> $of a result, or the error in its place */
    private static function holdResult(array $of): HoldResult
    {
        return isset($of['Err'])
            ? HoldResult::refused(Failures::of($of['Err']))
            : HoldResult::held(Decoder::hold($of['Ok']['value'], $of['Ok']['replayed']));
    }
}
