<?php

declare(strict_types=1);

namespace Stockade\Testing;

use DateTimeInterface;
use Stockade\Exception\StockadeException;
use Stockade\Input\Arguments;
use Stockade\Product;
use Stockade\ProductPage;
use Stockade\PutOutcome;
use Stockade\PutProduct;
use Stockade\PutResult;

/**
 * A fake's calls about products, documented in {@see \Stockade\Client\ProductCalls}.
 */
trait ProductCalls
{
    public function product(int|string|float|bool $id): Product
    {
        return $this->play(__FUNCTION__, get_defined_vars(), fn (): Product => $this->shelf()->product($id));
    }

    public function products(int|string|float|bool $after = 0, int|string|float|bool $limit = 100): ProductPage
    {
        return $this->play(__FUNCTION__, get_defined_vars(), fn (): ProductPage => new ProductPage(
            ...Shelf::page($this->shelf()->products, $after, $limit, static fn (): bool => true)
        ));
    }

    public function createProduct(
        string $name,
        int|string|float|bool $price,
        int|string|float|bool $stock,
        ?string $key = null,
        int|string|float|bool|null $id = null,
        ?string $sku = null,
        ?string $currency = null,
        array|string|null $metadata = null,
        DateTimeInterface|string|null $onSaleFrom = null,
        DateTimeInterface|string|null $onSaleUntil = null,
        int|string|float|bool $safetyStock = 0,
    ): Product {
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): Product => $this->shelf()->put(Make::product(...self::named([
                'id' => $id === null ? null : Arguments::id('id', $id),
                'name' => $name,
                'price' => Arguments::decimal('price', $price),
                'inStock' => Arguments::whole('stock', $stock, 0),
                'sku' => $sku,
                'currency' => $currency,
                'safetyStock' => Arguments::whole('safetyStock', $safetyStock, 0),
                'metadata' => self::metadata($metadata),
            ])))
        );
    }

    public function putProduct(
        int|string|float|bool $product,
        string $name,
        int|string|float|bool $price,
        ?string $currency = null,
        ?string $sku = null,
        array|string|null $metadata = null,
        DateTimeInterface|string|null $onSaleFrom = null,
        DateTimeInterface|string|null $onSaleUntil = null,
        int|string|float|bool $safetyStock = 0,
        int|string|float|bool|null $stock = null,
        int|string|float|bool|null $version = null,
    ): PutOutcome {
        return $this->play(__FUNCTION__, get_defined_vars(), fn (): PutOutcome => $this->putOne(new PutProduct(
            $product,
            $name,
            $price,
            $currency,
            $sku,
            $metadata,
            $onSaleFrom,
            $onSaleUntil,
            $safetyStock,
            $stock,
            $version
        )));
    }

    public function putProducts(iterable $requests): array
    {
        $requests = [...$requests];
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): array => array_map(function (PutProduct $put): PutResult {
                try {
                    $outcome = $this->putOne($put);
                    return PutResult::put($outcome->product, $outcome->created);
                } catch (StockadeException $error) {
                    return PutResult::refused($error);
                }
            }, Arguments::requests($requests, PutProduct::class))
        );
    }

    public function changeProduct(
        int|string|float|bool $product,
        array $changes,
        int|string|float|bool|null $version = null,
    ): Product {
        return $this->play(__FUNCTION__, get_defined_vars(), fn (): Product => $this->shelf()->put(Make::with(
            $this->shelf()->product($product),
            ...array_intersect_key($changes, array_flip(['name', 'price', 'currency', 'sku', 'metadata', 'archived']))
        )));
    }

    public function adjustStock(
        int|string|float|bool $productId,
        int|string|float|bool|null $delta,
        string $reason,
        ?string $key = null,
        int|string|float|bool|null $version = null,
        int|string|float|bool|null $to = null,
    ): Product {
        return $this->play(__FUNCTION__, get_defined_vars(), fn (): Product => $this->adjusted(
            $this->shelf()->product($productId),
            $to === null ? Arguments::whole('delta', $delta ?? 0) : null,
            $to === null ? null : Arguments::whole('to', $to, 0)
        ));
    }

    private function putOne(PutProduct $put): PutOutcome
    {
        $known = $this->shelf()->findProduct($put->product);
        [$id, $sku] = Arguments::product('product', $put->product);
        $fields = self::named([
            'id' => $known?->id ?? ($sku === null ? $id : null),
            'name' => $put->name,
            'price' => Arguments::decimal('price', $put->price),
            'sku' => $put->sku ?? $sku,
            'currency' => $put->currency,
            'metadata' => self::metadata($put->metadata),
            'inStock' => $put->stock === null ? $known?->inStock : Arguments::whole('stock', $put->stock, 0),
        ]);
        return new PutOutcome($this->shelf()->put(Make::product(...$fields)), $known === null);
    }

    private function adjusted(Product $product, ?int $delta, ?int $to): Product
    {
        $units = max(0, $to ?? $product->inStock + (int) $delta);
        return $this->shelf()->put(Make::with($product, inStock: $units, stock: $units));
    }

    /**
     * Fields without those that are null.
     *
     * @param array<string, mixed> $fields
     * @return array<string, mixed>
     */
    private static function named(array $fields): array
    {
        return array_filter($fields, static fn (mixed $value): bool => $value !== null);
    }
}
