<?php

declare(strict_types=1);

namespace Stockade\Http;

use DateTimeInterface;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\StockadeException;
use Stockade\Input\Arguments;
use Stockade\Product;
use Stockade\ProductPage;
use Stockade\PutOutcome;
use Stockade\PutProduct;
use Stockade\PutResult;

/**
 * A running engine's calls about products, documented in
 * {@see \Stockade\Client\ProductCalls}.
 */
trait ProductCalls
{
    public function product(int|string|float|bool $id): Product
    {
        [$number, $sku] = Arguments::product('id', $id);
        $product = $sku === null ? Wire::id($number) : Wire::text('sku', $sku);
        return $this->ask('product', $product, false, Decoder::product(...));
    }

    public function products(int|string|float|bool $after = 0, int|string|float|bool $limit = 100): ProductPage
    {
        $request = ['after' => Wire::optionalId(Arguments::id('after', $after)), 'limit' => Arguments::limit($limit)];
        return $this->ask('products', $request, false, static fn (array $of): ProductPage
            => new ProductPage(Decoder::list(Decoder::product(...), $of['items']), $of['next']));
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
        return $this->askReplayable('create_product', [
            'name' => Wire::text('name', $name),
            'price' => Wire::money('price', $price),
            'stock' => Arguments::whole('stock', $stock, 0),
            'key' => Wire::text('key', $key),
            'id' => $id === null ? null : Wire::id(Arguments::id('id', $id)),
            'sku' => Wire::text('sku', $sku),
            'currency' => Wire::currency($currency),
            'metadata' => Wire::metadata($metadata),
            'on_sale_from' => Wire::moment('onSaleFrom', $onSaleFrom),
            'on_sale_until' => Wire::moment('onSaleUntil', $onSaleUntil),
            'safety_stock' => Arguments::whole('safetyStock', $safetyStock, 0),
        ], $key === null, Decoder::product(...));
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
        $put = new PutProduct(
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
        );
        return $this->ask('put_product', self::put($put), true, static fn (array $of): PutOutcome
            => new PutOutcome(Decoder::product($of['product']), $of['created']));
    }

    public function putProducts(iterable $requests): array
    {
        $read = Arguments::requests($requests, PutProduct::class);
        $this->rpc->checkOpen();
        return Batch::send(
            $read,
            self::put(...),
            fn (array $part): array => $this->ask(
                'put_products',
                ['requests' => $part],
                true,
                static fn (array $of): array => Decoder::list(self::putResult(...), $of)
            ),
            static fn (StockadeException $error): PutResult => PutResult::refused($error)
        );
    }

    public function changeProduct(
        int|string|float|bool $product,
        array $changes,
        int|string|float|bool|null $version = null,
    ): Product {
        $request = [
            'product' => Wire::product('product', $product),
            'version' => $version === null ? null : Wire::optionalId(Arguments::id('version', $version)),
        ];
        foreach ($changes as $name => $value) {
            [$field, $change] = self::change((string) $name, $value);
            $request[$field] = $change;
        }
        return $this->ask('change_product', $request, true, Decoder::product(...));
    }

    public function adjustStock(
        int|string|float|bool $productId,
        int|string|float|bool|null $delta,
        string $reason,
        ?string $key = null,
        int|string|float|bool|null $version = null,
        int|string|float|bool|null $to = null,
    ): Product {
        $units = $delta === null ? 0 : Arguments::whole('delta', $delta);
        if ($to !== null && $units !== 0) {
            throw InvalidArgument::because('delta and to are both set; set one of them');
        }
        return $this->askReplayable('adjust_stock', [
            'product' => Wire::product('product_id', $productId),
            'delta' => $to === null ? $units : null,
            'to' => $to === null ? null : Arguments::whole('to', $to, 0),
            'reason' => Wire::text('reason', $reason),
            'key' => Wire::text('key', $key),
            'version' => $version === null ? null : Wire::optionalId(Arguments::id('version', $version)),
        ], $key === null, Decoder::product(...));
    }

    /** @return array<string, mixed> */
    private static function put(PutProduct $put): array
    {
        return [
            'product' => Wire::product('product', $put->product),
            'name' => Wire::text('name', $put->name),
            'price' => Wire::money('price', $put->price),
            'currency' => Wire::currency($put->currency),
            'sku' => Wire::text('sku', $put->sku),
            'metadata' => Wire::metadata($put->metadata),
            'on_sale_from' => Wire::moment('onSaleFrom', $put->onSaleFrom),
            'on_sale_until' => Wire::moment('onSaleUntil', $put->onSaleUntil),
            'safety_stock' => Arguments::whole('safetyStock', $put->safetyStock, 0),
            'stock' => $put->stock === null ? null : Arguments::whole('stock', $put->stock, 0),
            'version' => $put->version === null ? null : Wire::optionalId(Arguments::id('version', $put->version)),
        ];
    }

    /** @param array<string, mixed> $of a result, or the error in its place */
    private static function putResult(array $of): PutResult
    {
        return isset($of['Err'])
            ? PutResult::refused(Failures::of($of['Err']))
            : PutResult::put(Decoder::product($of['Ok']['product']), $of['Ok']['created']);
    }

    /**
     * One field of a change, and what becomes of it.
     *
     * @return array{string, mixed}
     */
    private static function change(string $name, mixed $value): array
    {
        $field = strtolower((string) preg_replace('/[A-Z]/', '_$0', $name));
        $orClear = static fn (mixed $set): array|string => $set === null ? 'clear' : ['set' => $set];
        return [$field, match ($name) {
            'sku' => $orClear($value === null || $value === ''
                ? null
                : Wire::text('sku', Arguments::string('sku', $value))),
            'metadata' => $orClear($value === null || $value === ''
                ? null
                : Wire::metadata(is_array($value) ? $value : Arguments::string('metadata', $value))),
            'onSaleFrom', 'onSaleUntil' => $orClear(Wire::moment($name, $value)),
            'name' => Wire::text($name, Arguments::string($name, $value)),
            'currency' => Wire::currency(Arguments::string($name, $value)),
            'price' => Wire::money('price', Arguments::scalar($name, $value)),
            'safetyStock', 'stock' => Arguments::whole($name, Arguments::scalar($name, $value), 0),
            'archived' => Arguments::flag($name, $value),
            default => throw InvalidArgument::because("a product has no {$name} that could be changed"),
        }];
    }
}
