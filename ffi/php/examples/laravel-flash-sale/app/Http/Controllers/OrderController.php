<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Stockade\Client;

final class OrderController
{
    private const MOMENT = 'Y-m-d\TH:i:s.u\Z';

    public function __invoke(Request $request, Client $client, string $hold, string $product): JsonResponse
    {
        $order = $client->createOrder($hold, $product, key: $request->header('Idempotency-Key'));
        return new JsonResponse([
            'message' => 'order created successfully',
            'success' => true,
            'order' => [
                'status' => $order->status->value,
                'hold_id' => $order->holdId,
                'updated_at' => $order->updatedAt->format(self::MOMENT),
                'created_at' => $order->createdAt->format(self::MOMENT),
                'id' => $order->id,
            ],
        ]);
    }
}
