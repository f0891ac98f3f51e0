/* The parts of ECharts that our charts use, and nothing else. */
import { BarChart, LineChart } from 'echarts/charts'
import { AriaComponent, AxisPointerComponent, GridComponent, MarkLineComponent, TooltipComponent } from 'echarts/components'
import { connect, init, use } from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'

use([LineChart, BarChart, GridComponent, TooltipComponent, MarkLineComponent, AxisPointerComponent, AriaComponent, CanvasRenderer])

export { connect, init }
