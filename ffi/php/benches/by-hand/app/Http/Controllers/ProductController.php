<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use Illuminate\Http\JsonResponse;
use Illuminate\Support\Facades\Cache;
use Illuminate\Support\Facades\DB;

final class ProductController
{
    public function __invoke(string $product): JsonResponse
    {
        $found = Cache::remember("product:{$product}", 60, static fn (): ?array
            => ($row = DB::table('products')->find($product)) === null ? null : (array) $row);
        abort_if($found === null, 404);
        return new JsonResponse(['id' => $found['id'], 'price' => (float) $found['price'], 'stock' => $found['stock']]);
    }
}
