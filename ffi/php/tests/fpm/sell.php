<?php

declare(strict_types=1);

// One buyer: hold, order, payment. Answers what became of it. A buyer with a key may
// come again, and buys once.

use Stockade\ClientFactory;
use Stockade\Exception\StockadeException;

require_once __DIR__ . '/../../autoload.php';

$settings = json_decode($_SERVER['STOCKADE_SETTINGS'], true, 512, JSON_THROW_ON_ERROR);
$answer = ['pid' => getmypid()];
try {
    $engine = ClientFactory::connect($_SERVER['STOCKADE_STORE'], $settings, $_SERVER['STOCKADE_DRIVER'] ?? null);
    $product = $_SERVER['STOCKADE_PRODUCT'];
    try {
        $buyer = $_SERVER['STOCKADE_KEY'] ?? null;
        $key = static fn (string $what): ?string => $buyer === null ? null : "{$buyer}-{$what}";
        $hold = $engine->createHold($product, 1, key: $key('hold'));
        $order = $engine->createOrder($hold->id, $product, $key('order'));
        $engine->recordPayment('success', $order->id, key: $key('payment'));
        $answer['result'] = 'sold';
    } catch (StockadeException $error) {
        $answer['result'] = $error->error;
    }
    // All that this worker's engine was asked: of earlier requests, too. One
    // that sends its calls to a running engine counts those.
    $counter = '/^stockade_(?:requests_total|remote_call_seconds_count) (\d+)$/m';
    preg_match($counter, $engine->metricsText(), $found);
    $answer['requests'] = (int) ($found[1] ?? 0);
} catch (Throwable $error) {
    $answer['result'] = $error->getMessage();
}
echo json_encode($answer, JSON_THROW_ON_ERROR);
