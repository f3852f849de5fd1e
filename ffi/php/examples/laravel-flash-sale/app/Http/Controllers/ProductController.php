<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use Illuminate\Http\JsonResponse;
use Stockade\Client;

final class ProductController
{
    public function __invoke(Client $client, string $product): JsonResponse
    {
        $found = $client->product($product);
        return new JsonResponse([
            'id' => $found->id,
            'price' => json_decode($found->price),
            'stock' => $found->stock,
        ]);
    }
}
