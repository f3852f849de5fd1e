<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Stockade\Client;

final class HoldController
{
    public function __invoke(Request $request, Client $client, string $product, string $quantity): JsonResponse
    {
        $hold = $client->createHold($product, $quantity, key: $request->header('Idempotency-Key'));
        return new JsonResponse([
            'message' => 'Holded Successfully',
            'success' => true,
            'hold' => [
                'id' => $hold->id,
                'qty' => $hold->quantity,
                'expires_at' => $hold->expiresAt->format('Y-m-d\TH:i:s\Z'),
            ],
        ]);
    }
}
