<?php

declare(strict_types=1);

namespace Stockade\Testing;

use DateTimeImmutable;
use DateTimeZone;
use SensitiveParameter;
use Stockade\Cart;
use Stockade\Exception\StockadeException;
use Stockade\Hold;
use Stockade\HoldRequest;
use Stockade\HoldResult;
use Stockade\HoldStatus;
use Stockade\Input\Arguments;

/**
 * A fake's calls about holds and carts, documented in {@see \Stockade\Client\HoldCalls}.
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
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): Hold => $this->shelf()->put($this->held($productId, $quantity, $ttl, $customer, $metadata))
        );
    }

    public function createHolds(
        iterable $lines,
        int|float|string|bool|null $ttl = null,
        ?string $key = null,
        ?string $customer = null,
        array|string|null $metadata = null,
    ): Cart {
        $lines = [...$lines];
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): Cart => $this->newCart(Arguments::lines($lines), $ttl, $customer, $metadata)
        );
    }

    public function createHoldBatch(iterable $requests): array
    {
        $requests = [...$requests];
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): array => array_map($this->heldOne(...), Arguments::requests($requests, HoldRequest::class))
        );
    }

    public function hold(int|string|float|bool $id): Hold
    {
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): Hold => Make::with($this->shelf()->hold($id), token: '')
        );
    }

    public function releaseHold(
        int|string|float|bool $holdId,
        #[SensitiveParameter] ?string $token = null,
    ): Hold {
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): Hold => $this->changed($this->shelf()->hold($holdId), status: HoldStatus::Released)
        );
    }

    public function extendHold(
        int|string|float|bool $holdId,
        int|float|string|bool|null $ttl = null,
        #[SensitiveParameter] ?string $token = null,
    ): Hold {
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): Hold => $this->extended($this->shelf()->hold($holdId), $ttl)
        );
    }

    public function changeQuantity(
        int|string|float|bool $holdId,
        int|string|float|bool $quantity,
        ?string $key = null,
        #[SensitiveParameter] ?string $token = null,
    ): Hold {
        return $this->play(__FUNCTION__, get_defined_vars(), fn (): Hold => $this->changed(
            $this->shelf()->hold($holdId),
            quantity: Arguments::quantity($quantity)
        ));
    }

    public function cart(int|string|float|bool $id): Cart
    {
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): Cart => Make::with($this->shelf()->cart($id), token: '')
        );
    }

    public function releaseCart(
        int|string|float|bool $cartId,
        #[SensitiveParameter] ?string $token = null,
    ): Cart {
        return $this->play(__FUNCTION__, get_defined_vars(), fn (): Cart => $this->changedCart(
            $this->shelf()->cart($cartId),
            fn (Hold $hold): Hold => $this->changed($hold, status: HoldStatus::Released)
        ));
    }

    public function extendCart(
        int|string|float|bool $cartId,
        int|float|string|bool|null $ttl = null,
        #[SensitiveParameter] ?string $token = null,
    ): Cart {
        return $this->play(__FUNCTION__, get_defined_vars(), fn (): Cart => $this->changedCart(
            $this->shelf()->cart($cartId),
            fn (Hold $hold): Hold => $this->extended($hold, $ttl)
        ));
    }

    /** @param array<string, mixed>|string|null $metadata */
    private function held(
        int|string|float|bool $productId,
        int|string|float|bool $quantity,
        int|float|string|bool|null $ttl,
        ?string $customer,
        array|string|null $metadata,
        ?int $cartId = null,
    ): Hold {
        [$id, $sku] = Arguments::product('product_id', $productId);
        $product = $this->shelf()->findProduct($productId);
        return $this->extended(Make::hold(
            productId: $product?->id ?? $id,
            quantity: Arguments::quantity($quantity),
            sku: $product?->sku ?? $sku,
            customer: $customer,
            metadata: self::metadata($metadata),
            cartId: $cartId
        ), $ttl);
    }

    /**
     * @param list<array{array{int, ?string}, int, bool}> $lines
     * @param array<string, mixed>|string|null $metadata
     */
    private function newCart(
        array $lines,
        int|float|string|bool|null $ttl,
        ?string $customer,
        array|string|null $metadata,
    ): Cart {
        $holds = [];
        foreach ($lines as [[$id, $sku], $quantity]) {
            $product = $sku === null ? $id : "sku:{$sku}";
            $hold = $this->held($product, $quantity, $ttl, $customer, $metadata);
            $holds[] = Make::with($hold, cartId: ($holds[0] ?? $hold)->id);
        }
        if ($holds === []) {
            throw Make::error('invalid_argument', 'a cart has at least one line');
        }
        return $this->shelf()->put(new Cart($holds[0]->id, bin2hex(random_bytes(16)), $holds, false));
    }

    private function heldOne(HoldRequest $of): HoldResult
    {
        try {
            $hold = $this->held($of->productId, $of->quantity, $of->ttl, $of->customer, $of->metadata);
            return HoldResult::held($this->shelf()->put($hold));
        } catch (StockadeException $error) {
            return HoldResult::refused($error);
        }
    }

    private function extended(Hold $hold, int|float|string|bool|null $ttl): Hold
    {
        $milliseconds = intdiv(Arguments::ttl($ttl) ?? 120_000_000, 1_000);
        $end = (new DateTimeImmutable('now', new DateTimeZone('UTC')))->modify("+{$milliseconds} milliseconds");
        return $this->shelf()->put(Make::with($hold, expiresAt: $end));
    }

    private function changed(Hold $hold, mixed ...$fields): Hold
    {
        return Make::with($this->shelf()->put(Make::with($hold, ...$fields)), token: '');
    }

    /** @param callable(Hold): Hold $change */
    private function changedCart(Cart $cart, callable $change): Cart
    {
        return Make::with($cart, token: '', holds: array_map($change, $cart->holds));
    }
}
