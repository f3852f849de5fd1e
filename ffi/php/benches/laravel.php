<?php

declare(strict_types=1);

// Holds per second and their 99th percentile of the example and of the same routes
// written by hand (benches/by-hand: Redis lock, row lock, transaction), both in one run,
// in turns, under php-fpm and nginx, on one MySQL and one Redis. Run it by
// `make bench-laravel`; `--quick` runs it in short, `--workers=N` has N php-fpm workers
// each, `--poll-ms=N` is how often the hand-written lock is tried. STOCKADE_SERVER names
// the engine: a build with optimisations, or the figures say nothing.
//
// Expected: of both, most of a request is Laravel's own start, some milliseconds of one
// core. The hand-written version adds two round trips to Redis and five to MySQL, one of
// them a commit, of which the lock lets one at a time happen: so it is bound by
// 1/(row lock to commit), and waits for its poll besides. The example adds one round trip,
// and the engine commits the holds of all workers together.

use Stockade\ClientFactory;
use Stockade\Tests\Laravel\App;
use Stockade\Tests\Laravel\Database;
use Stockade\Tests\Laravel\Site;
use Stockade\Tests\Running;

require_once __DIR__ . '/../tests-laravel/autoload.php';

const CALLERS = [8, 64];
const PLENTY = 1 << 30;

/** The number of an option, or its default. */
$option = static function (string $name, int $default) use ($argv): int {
    foreach ($argv as $argument) {
        if (str_starts_with($argument, "--{$name}=")) {
            return (int) substr($argument, strlen($name) + 3);
        }
    }
    return $default;
};
[$rounds, $seconds] = in_array('--quick', $argv, true) ? [1, 1.0] : [$option('rounds', 5), 5.0];
$workers = $option('workers', 16);

$stock = new Database();
$engine = new Running((string) getenv('STOCKADE_SERVER'), $stock->store(), $stock->redis() + ['hold_ttl' => '12h']);
[$forExample, $byHand] = [new Database(), new Database()];
$apps = [
    'with Stockade' => new App([
        'APP_ENV' => 'production',
        'STOCKADE_STORE' => $engine->url,
    ] + $forExample->environment()),
    'by hand' => new App([
        'APP_ENV' => 'production',
        'HOLD_TTL' => '43200',
        'LOCK_POLL_MS' => (string) $option('poll-ms', 10),
        'STOCKADE_WEBHOOK_PATH' => '',
    ] + $byHand->environment(), [__DIR__ . '/by-hand']),
];
$sites = [];
foreach ($apps as $name => $app) {
    $app->artisan('migrate', '--force');
    $app->artisan('db:seed', '--force');
    $app->optimize();
    $sites[$name] = new Site($app, $workers);
}
ClientFactory::connect($engine->url)->adjustStock(1, PLENTY, 'bench');
$byHand->pdo->exec('UPDATE products SET stock = ' . PLENTY . ' WHERE id = 1');

$median = static function (array $figures): float {
    sort($figures);
    return $figures[intdiv(count($figures), 2)];
};
printf(
    "PHP %s, Laravel %s, %d php-fpm workers each, MySQL %s, %d rounds of %.0f s, median of rounds\n",
    PHP_VERSION,
    Illuminate\Foundation\Application::VERSION,
    $workers,
    $stock->pdo->getAttribute(PDO::ATTR_SERVER_VERSION),
    $rounds,
    $seconds
);
$used = static fn (): float => (static fn (array $of): float => $of['ru_utime.tv_sec'] + $of['ru_stime.tv_sec']
    + ($of['ru_utime.tv_usec'] + $of['ru_stime.tv_usec']) / 1e6)((array) getrusage());
[$usedBefore, $begin] = [$used(), hrtime(true)];
foreach (CALLERS as $callers) {
    $rates = $percentiles = [];
    foreach ($sites as $site) {
        $site->load('POST', '/api/holds/1/1', $callers, min(1.0, $seconds));
    }
    for ($round = 0; $round < $rounds; $round++) {
        foreach ($sites as $name => $site) {
            $start = hrtime(true);
            [$took, $others] = $site->load('POST', '/api/holds/1/1', $callers, $seconds);
            if ($took === [] || $others > count($took) / 100) {
                throw new RuntimeException("{$name}: {$others} requests failed" . $site->log());
            }
            sort($took);
            $rates[$name][] = count($took) / ((hrtime(true) - $start) / 1e9);
            $percentiles[$name][] = $took[intdiv(count($took) * 99, 100)];
        }
    }
    foreach (array_keys($sites) as $name) {
        [$rate, $p99] = [$median($rates[$name]), $median($percentiles[$name])];
        printf("%2d callers  %-13s  %7.0f holds/s  p99 %7.1f ms\n", $callers, $name, $rate, $p99);
    }
}
$share = ($used() - $usedBefore) / ((hrtime(true) - $begin) / 1e9) * 100;
printf("the callers themselves took %.0f%% of a core\n", $share);

// Neither has sold what it had not.
$product = ClientFactory::connect($engine->url)->product(1);
$isExact = $product->stock + $product->held === PLENTY + 100
    && ClientFactory::connect($engine->url)->audit()->consistent;
$left = (int) $byHand->pdo->query('SELECT stock FROM products WHERE id = 1')->fetchColumn();
$held = (int) $byHand->pdo->query('SELECT COALESCE(SUM(quantity), 0) FROM holds')->fetchColumn();
if (!$isExact || $left + $held !== PLENTY) {
    throw new RuntimeException("the stock does not add up: {$product->stock} + {$product->held}, {$left} + {$held}");
}
