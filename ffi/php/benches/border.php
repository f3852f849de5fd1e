<?php

declare(strict_types=1);

// What a call costs from PHP.

use Stockade\Engine;
use Stockade\Native\Call;

require_once __DIR__ . '/../autoload.php';

const NOOPS = 1_000_000;
const HOLDS = 20_000;

$engine = Engine::shared('sqlite::memory:');
// Closing a shared engine does nothing: what is left is the call.
$noop = Closure::bind(function (): void {
    $call = new Call($this->handle);
    $call->check($call->ffi->stockade_engine_close($call->engine, $call->errorOut));
}, $engine, Engine::class);
$start = hrtime(true);
for ($i = 0; $i < NOOPS; $i++) {
    $noop();
}
printf("PHP   noop %8.1f ns\n", (hrtime(true) - $start) / NOOPS);

$lamp = $engine->createProduct('Lamp', '19.99', HOLDS)->id;
$start = hrtime(true);
for ($i = 0; $i < HOLDS; $i++) {
    $engine->createHold($lamp, 1);
}
printf("PHP   hold %8.1f us\n", (hrtime(true) - $start) / HOLDS / 1000);
